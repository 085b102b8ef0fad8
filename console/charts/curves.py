"""The lines of a chart: each run's points, smoothed and reduced; each condition's mean with its band."""

from __future__ import annotations

import math
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from console.charts.band import Band, band_of
from console.charts.chart import Chart, ChartOptions, RunCurve
from console.charts.palette import Colour, Style
from console.charts.reduction import LIMIT, ExponentialAverage, SeriesReduction, drawable, reduced
from console.runs.series import ColumnStorage, Series
from engine.contract.settings import RunId

Floats = npt.NDArray[np.float64]
_MOST_KEPT = 16  # reductions of a run's columns, as the metrics and smoothings of all charts need them
_MOST_MEAN_POINTS = 32_768  # of a longer series the mean is taken over every second point, every fourth, ...
# By storage, so a reduction is updated while its series grows and dropped with the last version of it.
_reductions: WeakKeyDictionary[ColumnStorage, dict[object, SeriesReduction]] = WeakKeyDictionary()
_reducing = Lock()


class Line(Struct, frozen=True):
    """A line to draw, in coordinates of the chart: y is a logarithm if the chart's scale is logarithmic.

    Attributes:
        name: for people; empty for a line without a label.
        run: whose line it is; None for a mean.
        value: y at its end, or at the crosshair; not a logarithm; None if there is none.
        spread_text: the spread at the same place.
        bad: the x of values that cannot be drawn.
        band: x, lower and upper edge, (3, X).
        raw: the unsmoothed values below a smoothed line.
    """

    name: str
    colour: Colour
    letter: str
    dash: int
    xs: Floats
    ys: Floats
    value: float | None
    spread_text: str = ""
    bad: tuple[float, ...] = ()
    band: Floats | None = None
    raw: bool = False
    mean: bool = False
    selected: bool = False
    run: RunId | None = None


def lines_of(chart: Chart, width: int) -> list[Line]:
    """The lines of ``chart`` with about ``2 * width`` points each, those that lie on top last."""
    options = chart.options
    curves = sorted(chart.curves, key=lambda curve: curve.run == chart.selected)
    means = _mean_lines(chart, width) if options.mode != "runs" else []
    if options.mode == "mean":
        diverged = [_run_line(chart, curve, width) for curve in curves if _diverged(curve, chart)]
        return [*means, *diverged]
    lines = []
    for curve in curves:
        if options.smoothing and options.colour and curve.run == chart.selected:  # dim is a colour, too
            lines.append(_run_line(chart, curve, width, raw=True))
        lines.append(_run_line(chart, curve, width))
    return [*lines, *means]


def _run_line(chart: Chart, curve: RunCurve, width: int, *, raw: bool = False) -> Line:
    options = chart.options
    smoothing = 0.0 if raw else options.smoothing
    if options.x_range is None and options.crosshair is None:
        xs, ys, bad, value = _whole(curve.series, width, smoothing, log_scale=options.log_scale)
    else:
        xs, ys, bad, value = _part(chart, curve.series, width, smoothing)
    style = curve.style
    return Line(
        "" if raw else curve.run.label,
        style.colour,
        "." if raw else style.letter,
        style.dash,
        xs,
        ys,
        value,
        bad=bad,
        raw=raw,
        selected=curve.run == chart.selected,
        run=curve.run,
    )


def _whole(
    series: Series, width: int, smoothing: float, *, log_scale: bool
) -> tuple[Floats, Floats, tuple[float, ...], float | None]:
    with _reducing:
        kept = _reductions.setdefault(series.columns.storage, {})
        key = (series.x, series.y, series.x_scale, smoothing, log_scale)
        reduction = kept.get(key)
        if reduction is None or reduction.read > len(series):  # an older version of the series starts again
            if len(kept) >= _MOST_KEPT:
                kept.clear()
            reduction = kept[key] = SeriesReduction(smoothing=smoothing, log_scale=log_scale)
        reduction.update(series)
        return (*reduction.points(width), tuple(reduction.marks(width)), reduction.last)


def _part(
    chart: Chart, series: Series, width: int, smoothing: float
) -> tuple[Floats, Floats, tuple[float, ...], float | None]:
    """The points within the shown part of x and one more to each side, at full resolution."""
    options = chart.options
    xs, ys, bad = _points(series, smoothing, log_scale=options.log_scale)
    until = np.flatnonzero(xs <= _right_end(options))
    value = float(ys[until[-1]]) if len(until) else None
    if options.x_range is not None:
        low, high = options.x_range
        inside = np.flatnonzero((xs >= low) & (xs <= high))
        if len(inside):
            first, end = max(0, inside[0] - 1), inside[-1] + 2
        else:  # a line may cross the part without a point in it
            first = int(until[-1]) if len(until) else 0
            end = first + 2
        xs, ys = xs[first:end], ys[first:end]
        bad = bad[(bad >= low) & (bad <= high)]
    xs, ys = reduced(xs, ys, width)
    return xs, ys, tuple(bad[:: max(1, len(bad) // width)].tolist()), _unlogged(value, log_scale=options.log_scale)


def _points(series: Series, smoothing: float, *, log_scale: bool) -> tuple[Floats, Floats, Floats]:
    xs, ys = series.points()
    return drawable(np.array(xs), np.array(ys, float), ExponentialAverage(smoothing), log_scale=log_scale)


def _unlogged(value: float | None, *, log_scale: bool) -> float | None:
    return 10.0**value if log_scale and value is not None else value


def bands_of(chart: Chart) -> dict[str, Band]:
    """The mean of each condition and its band; of smoothed curves if these are smoothed."""
    by_condition: dict[str, list[tuple[Floats, Floats]]] = {}
    for curve in chart.curves:
        xs, ys, _ = _points(curve.series, chart.options.smoothing, log_scale=False)
        stride = 1
        while len(xs) > stride * _MOST_MEAN_POINTS:
            stride *= 2
        by_condition.setdefault(curve.run.condition, []).append((xs[stride - 1 :: stride], ys[stride - 1 :: stride]))
    interpolate = chart.options.x == "elapsed"
    return {
        name: band_of(curves, chart.options.spread, interpolate=interpolate) for name, curves in by_condition.items()
    }


def _mean_lines(chart: Chart, width: int) -> list[Line]:
    style_of = {curve.run.condition: curve.style for curve in chart.curves}
    return [
        _mean_line(name, style_of[name], band, chart.options, width)
        for name, band in bands_of(chart).items()
        if len(band.xs)
    ]


def _mean_line(name: str, style: Style, band: Band, options: ChartOptions, width: int) -> Line:
    shown = np.ones(len(band.xs), bool)
    if options.x_range is not None:
        shown = (band.xs >= options.x_range[0]) & (band.xs <= options.x_range[1])
    if options.log_scale:
        shown &= band.means > 0
    value, spread_text = _value_text(band, options)
    xs, means, lows, highs = (axis[shown] for axis in (band.xs, band.means, band.lows, band.highs))
    if options.log_scale:  # a band that reaches 0 is cut below its mean, or the axis would be of the band alone
        means, lows, highs = (np.log10(np.maximum(axis, means / 10)) for axis in (means, lows, highs))
    line_xs, line_ys = reduced(xs, means, width)
    edges = np.stack([xs, lows, highs])
    return Line(
        name, style.colour, style.letter.upper(), 0, line_xs, line_ys, value, spread_text, band=edges, mean=True
    )


def _value_text(band: Band, options: ChartOptions) -> tuple[float | None, str]:
    """The mean at the end of the line or at the crosshair, and its spread there with the number of seeds."""
    before = np.flatnonzero(band.xs <= _right_end(options))
    if not len(before):
        return None, ""
    at = before[-1]
    count, low, high = int(band.counts[at]), float(band.lows[at]), float(band.highs[at])
    if count == 1:
        return float(band.means[at]), "n1"
    spread = f"±{(high - low) / 2:.2g}" if options.spread == "sd" else f"{low:.3g}-{high:.3g}"
    return float(band.means[at]), f"{spread} n{count}"


def _right_end(options: ChartOptions) -> float:
    """The x at which the values at the lines' ends are read."""
    if options.crosshair is not None:
        return options.crosshair
    return options.x_range[1] if options.x_range is not None else math.inf


def _diverged(curve: RunCurve, chart: Chart) -> bool:
    """Whether a seed is to stay visible beside the mean: it has values that cannot be drawn, or ended far from the others."""
    xs, ys = (np.array(axis, float) for axis in curve.series.points())
    if np.any((np.abs(xs) <= LIMIT) & ~(np.abs(ys) <= LIMIT)):
        return True
    same = [one.series.last_y for one in chart.curves if one.run.condition == curve.run.condition and len(one.series)]
    ends = np.array([end for end in same if abs(end) <= LIMIT])
    if len(ends) < 3 or not len(ys):
        return False
    middle = float(np.median(ends))
    return bool(abs(ys[-1] - middle) > max(10 * float(np.median(np.abs(ends - middle))), 0.5 * abs(middle)))
