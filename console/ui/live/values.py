"""The table of values at the crosshair, across the visible charts: of each run, or of each condition as a mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from msgspec import Struct
from rich.cells import cell_len
from textual.content import Content

from console.charts.chart import ChartOptions
from console.charts.metrics import Metric, XAxis, series_of, x_text
from console.charts.palette import styles
from console.runs.run_view import RunView
from engine.contract.settings import RunId


class ValueRow(Struct, frozen=True):
    """A line of the table: a run, or a condition with ``run`` None; a text for each metric."""

    name: str
    condition: str
    values: tuple[str, ...]
    run: RunId | None = None


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
    runs = run_rows(views, metrics, options.x, at)
    rows = runs
    if len(runs) + 1 > height or options.mode == "mean":
        chosen = [row for row in runs if row.run == selected]
        rows = [*condition_rows(views, metrics, options.x, at), *chosen][: max(0, height - 1)]
    colour_of = {run.condition: style.colour for run, style in styles(views).items()}
    columns = [f"{x_text(options.x, at)}, raw values", *(metric.title for metric in metrics)]
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


def run_rows(views: Mapping[RunId, RunView], metrics: Sequence[Metric], x: XAxis, at: float) -> list[ValueRow]:
    """The last value of each run up to ``at``, unsmoothed."""
    return [
        ValueRow(
            run.label, run.condition, tuple(metric.value_text(value_at(view, metric, x, at)) for metric in metrics), run
        )
        for run, view in views.items()
    ]


def condition_rows(views: Mapping[RunId, RunView], metrics: Sequence[Metric], x: XAxis, at: float) -> list[ValueRow]:
    """The mean of each condition over the runs that have come as far as ``at``, with its standard deviation and their number."""
    by_condition: dict[str, list[RunView]] = {}
    for run, view in views.items():
        by_condition.setdefault(run.condition, []).append(view)
    return [
        ValueRow(name, name, tuple(_mean_text(group, metric, x, at) for metric in metrics))
        for name, group in by_condition.items()
    ]


def _mean_text(views: Sequence[RunView], metric: Metric, x: XAxis, at: float) -> str:
    found = (value_at(view, metric, x, at) for view in views if _reaches(view, metric, x, at))
    values = [value for value in found if value is not None and math.isfinite(value)]
    if not values:
        return "-"
    spread = f" ±{metric.value_text(stdev(values))}" if len(values) > 1 else ""
    return f"{metric.value_text(fmean(values))}{spread} n{len(values)}"


def _reaches(view: RunView, metric: Metric, x: XAxis, at: float) -> bool:
    """Whether the values of a run come as far as ``at``, or end there for good."""
    if not view.active:
        return True
    series = series_of(view, metric, x)
    return len(series) > 0 and series.last_x >= at


def value_at(view: RunView, metric: Metric, x: XAxis, at: float) -> float | None:
    """The last value of a run up to ``at`` on the axis ``x``; None before its first one."""
    return series_of(view, metric, x).y_at(at)


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        f"{text:<{width}}" if place == 0 else f"{text:>{width}}"
        for place, (text, width) in enumerate(zip(texts, widths, strict=True))
    )
