"""The table of values at the crosshair, across the visible charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from textual.content import Content

from console.charts.chart import ChartOptions
from console.charts.metrics import Metric
from console.charts.palette import styles
from console.charts.values import condition_rows, run_rows
from console.format import duration
from console.runs.run_view import RunView
from engine.contract.settings import RunId


def values_table(
    views: Mapping[RunId, RunView],
    metrics: Sequence[Metric],
    options: ChartOptions,
    selected: RunId | None,
    width: int,
    height: int,
) -> Content:
    """A line for each run; for each condition and the selected run where ``height`` lines do not hold that many."""
    at = options.crosshair or 0.0
    place = (
        duration(at)
        if options.x == "elapsed"
        else f"{options.x} {at:.0f}"
        if options.x == "step"
        else f"epoch {at:.2f}"
    )
    runs = run_rows(views, metrics, options.x, at)
    rows = runs
    if len(runs) + 1 > height or options.mode == "mean":
        chosen = [row for row in runs if row.run == selected]
        rows = [*condition_rows(views, metrics, options.x, at), *chosen][: max(0, height - 1)]
    colour_of = {run.condition: style.colour for run, style in styles(views).items()}
    columns = [f"{place}, raw values", *(metric.title for metric in metrics)]
    widths = [
        max(map(cell_len, (column, *(row.name if place == 0 else row.values[place - 1] for row in rows))))
        for place, column in enumerate(columns)
    ]
    lines = [Content.styled(_line(columns, widths), "bold")]
    for row in rows:
        name = row.name.ljust(widths[0])
        colour = "rgb({},{},{})".format(*colour_of[row.condition]) if options.colour else ""
        style = f"{colour} bold" if row.run == selected and row.run else colour
        lines.append(Content.assemble((name, style.strip()), _line(["", *row.values], [0, *widths[1:]])))
    return Content("\n").join(line.truncate(width) for line in lines)


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        f"{text:<{width}}" if place == 0 else f"{text:>{width}}"
        for place, (text, width) in enumerate(zip(texts, widths, strict=True))
    )
