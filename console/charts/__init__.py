"""Charts of runs: metrics, their reduction to what a chart can show, drawing as text, export as SVG and PNG."""
