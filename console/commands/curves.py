"""``qllm-console curves``: training curves as text charts, CSV, JSON or SVG. Reads local copies."""

from __future__ import annotations

import csv
import difflib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from console import exit_codes
from console.charts.chart import Chart, ChartOptions, chart_of
from console.charts.metrics import LOSS_METRIC, Metric, metrics_of
from console.commands.answers import ConditionCurve, CurvesAnswer, MetricCurves, RunCurveAnswer, print_json
from console.commands.context import Context, output_file
from console.commands.output import output_width, print_line, prints_ascii, report, table
from console.hosts.pull.local_runs import LocalRun
from console.runs.run_view import RunView
from console.runs.series import Series
from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.experiment import folder_name
from engine.contract.settings import RunId

ROWS = 22  # of a chart of text
CSV_HEADER = ("metric", "condition", "seed", "seeds", "x", "value", "low", "high")


def curves(context: Context) -> int:
    """Print the curves of the chosen runs; no host is contacted.

    Raises:
        BadInput: no run has such a metric.
        OSError: the picture cannot be written.
    """
    options = context.options
    picture = _picture_file(context)
    views = _views(context)
    known = metrics_of(views)
    if options.metrics:
        return _list_metrics(context, known)
    chosen = [_metric(name, known) for name in options.metric or [LOSS_METRIC.name]]
    how = ChartOptions(
        x=options.x,
        mode="mean" if options.mean else "runs",
        spread=options.spread,
        smoothing=options.smoothing,
        log_scale=options.log,
    )
    charts = [chart_of(views, metric, how, gates=context.experiment.gates) for metric in chosen]
    if not any(len(curve.series) for chart in charts for curve in chart.curves):
        report(f"no local run has {', '.join(one.name for one in chosen)} yet")
    if picture is not None:
        from console.charts.export import chart_svg

        write_durably(picture, chart_svg(charts[0]).encode())
        report(f"written: {picture}")
    if options.json:
        answer = CurvesAnswer(context.experiment.name, context.profile, options.x, tuple(map(_answer, charts)))
        print_json("curves", "curves", answer)
    elif options.csv:
        print_line(_csv(charts))
    elif picture is None:
        print_line("\n\n".join(_text(chart) for chart in charts))
    return exit_codes.DONE


def _list_metrics(context: Context, known: Sequence[Metric]) -> int:
    if context.options.json:
        metrics = tuple(MetricCurves(one.name, one.label, one.unit, (), ()) for one in known)
        answer = CurvesAnswer(context.experiment.name, context.profile, context.options.x, metrics)
        print_json("curves", "curves", answer)
    else:
        print_line(table(("metric", "what it is"), [(one.name, one.title) for one in known]))
    return exit_codes.DONE


def _views(context: Context) -> dict[RunId, RunView]:
    folder = context.runs_dir / folder_name(context.experiment, context.profile)
    views = {}
    for run in context.chosen_runs():
        local = LocalRun(folder, run)
        local.refresh()
        if local.error:
            report(f"qllm-console: {run.label}: {local.error}", "error")
        views[run] = local.view
    return views


def _metric(name: str, known: Sequence[Metric]) -> Metric:
    """The metric called ``name``.

    Raises:
        BadInput: there is none.
    """
    for metric in known:
        if metric.name == name:
            return metric
    close = difflib.get_close_matches(name, [one.name for one in known], 1)
    meant = f"; did you mean {close[0]}?" if close else ""
    raise BadInput(f"no metric {name!r}{meant or '; --metrics lists them'}", field="--metric")


def _text(chart: Chart) -> str:
    """The chart in as many columns as stdout has, in colours where it is a terminal that is to have any."""
    from rich.console import Console

    from console.charts.drawing import draw

    width = output_width(100)
    coloured = sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    chart = replace(chart, options=replace(chart.options, colour=coloured))
    drawn = draw(chart, width, ROWS, "ascii" if prints_ascii() else "braille")
    if not coloured:
        return drawn.plain
    painted = Console(file=io.StringIO(), width=width, force_terminal=True)
    with painted.capture() as captured:
        painted.print(drawn, end="")
    return captured.get()


def _picture_file(context: Context) -> Path | None:
    """Where the picture of the one metric is to be written; None if none is.

    Raises:
        BadInput: there are several metrics, or it cannot be written there.
    """
    if context.options.svg is None:
        return None
    if len(context.options.metric or ()) > 1:
        raise BadInput("one metric at a time", field="--svg")
    return output_file(context.options.svg, "--svg")


def _csv(charts: Sequence[Chart]) -> str:
    """A row for each point, unrounded; of means ``seeds`` is their number, ``low`` and ``high`` the edges of the band."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(CSV_HEADER)
    for chart in charts:
        rows.writerows(_mean_rows(chart) if chart.options.mode == "mean" else _run_rows(chart))
    return text.getvalue().rstrip("\n")


def _run_rows(chart: Chart) -> Iterator[tuple[object, ...]]:
    for curve in _answer(chart).runs:
        for x, value in zip(curve.x, curve.values, strict=True):
            yield chart.metric.name, curve.condition, curve.seed, "", x, "" if value is None else value, "", ""


def _mean_rows(chart: Chart) -> Iterator[tuple[object, ...]]:
    for one in _answer(chart).means:
        for row in zip(one.seeds, one.x, one.means, one.lows, one.highs, strict=True):
            yield chart.metric.name, one.condition, "", *row


def _answer(chart: Chart) -> MetricCurves:
    """The points of a chart: of each run, or the mean of each condition."""
    from console.charts.curves import bands_of

    metric, options = chart.metric, chart.options
    if options.mode == "mean":
        means = tuple(
            ConditionCurve(name, *(tuple(part.tolist()) for part in (of.counts, of.xs, of.means, of.lows, of.highs)))
            for name, of in bands_of(chart).items()
        )
        return MetricCurves(metric.name, metric.label, metric.unit, (), means, chart.references)
    runs = []
    for curve in chart.curves:
        xs, values = _points(curve.series, options.smoothing)
        runs.append(RunCurveAnswer(curve.run.condition, curve.run.seed, xs, values))
    return MetricCurves(metric.name, metric.label, metric.unit, tuple(runs), (), chart.references)


def _points(series: Series, smoothing: float) -> tuple[tuple[float, ...], tuple[float | None, ...]]:
    """All points of a series, smoothed; a value that is not finite is None, and no part of the average."""
    import numpy as np

    from console.charts.reduction import ExponentialAverage

    xs, ys = series.points()
    values = np.array(ys)
    finite = np.isfinite(values)
    values[finite] = ExponentialAverage(smoothing).update(values[finite])
    return tuple(xs), tuple(value if known else None for value, known in zip(values.tolist(), finite, strict=True))
