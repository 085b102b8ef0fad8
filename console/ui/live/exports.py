"""What view 3 writes to files: the selected chart drawn, and its points."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from console.charts.chart import Chart
from console.charts.export import chart_png, chart_svg
from console.plain_table import PlainTable, table_csv
from console.ui.exports import Export


def chart_exports(chart: Chart) -> tuple[Export, ...]:
    """``chart`` as SVG and PNG, and the points that it is drawn from as CSV."""
    return (
        Export(f"the chart as SVG: {chart.title}", "chart.svg", lambda: chart_svg(chart).encode()),
        Export(f"the chart as PNG: {chart.title}", "chart.png", partial(_png, chart)),
        Export("its points as CSV", "chart.csv", lambda: table_csv(points_table(chart)).encode()),
    )


def points_table(chart: Chart) -> PlainTable:
    """Every point of every run of ``chart``, as it was measured, without smoothing."""
    header = ("run", chart.x_title, chart.title)
    rows = (
        (curve.run.label, repr(x), repr(y))
        for curve in chart.curves
        for x, y in zip(*curve.series.points(), strict=True)
    )
    return PlainTable(header, tuple(rows))


def _png(chart: Chart) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chart.png"
        chart_png(chart, path)
        return path.read_bytes()
