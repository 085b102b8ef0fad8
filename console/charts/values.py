"""Values of several metrics at one x: of each run, or of each condition as a mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from msgspec import Struct

from console.charts.metrics import Metric, XAxis, series_of
from console.format import number
from console.runs.run_view import RunView
from engine.contract.settings import RunId


class ValueRow(Struct, frozen=True):
    """A line of the table: a run, or a condition with ``run`` None; a text for each metric."""

    name: str
    condition: str
    values: tuple[str, ...]
    run: RunId | None = None


def run_rows(views: Mapping[RunId, RunView], metrics: Sequence[Metric], x: XAxis, at: float) -> list[ValueRow]:
    """The last value of each run up to ``at``, unsmoothed."""
    return [
        ValueRow(
            run.label, run.condition, tuple(_text(metric, value_at(view, metric, x, at)) for metric in metrics), run
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
    spread = f" ±{_text(metric, stdev(values))}" if len(values) > 1 else ""
    return f"{_text(metric, fmean(values))}{spread} n{len(values)}"


def _reaches(view: RunView, metric: Metric, x: XAxis, at: float) -> bool:
    """Whether the values of a run come as far as ``at``, or end there for good."""
    if not view.active:
        return True
    series = series_of(view, metric, x)
    return len(series) > 0 and series.last_x >= at


def value_at(view: RunView, metric: Metric, x: XAxis, at: float) -> float | None:
    """The last value of a run up to ``at`` on the axis ``x``; None before its first one."""
    return series_of(view, metric, x).y_at(at)


def _text(metric: Metric, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if metric.unit.startswith("%") and math.isfinite(value) else number(value)
