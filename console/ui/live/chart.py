"""Line charts as text: series, size and options in, a drawing out. The only module that knows plotext.

plotext keeps its figure in global state, raises on infinity and on the log of 0: so the figure is reset each time under
a lock, non-finite values are dropped and marked at the upper edge, and the logarithm is taken here.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from threading import Lock

from msgspec import Struct
from rich.text import Text

from console.runs.run_view import smooth

LIMIT = 1e100


def finite(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float], list[float]]:
    """The points whose both coordinates can be drawn, and the x of those whose y cannot.

    Beyond ``LIMIT`` a number is treated like infinity: sums and squares of such numbers overflow.
    """
    kept_xs: list[float] = []
    kept_ys: list[float] = []
    broken: list[float] = []
    for x, y in zip(xs, ys, strict=True):
        if not abs(x) <= LIMIT:
            continue
        if abs(y) <= LIMIT:
            kept_xs.append(x)
            kept_ys.append(y)
        else:
            broken.append(x)
    return kept_xs, kept_ys, broken


def min_max(xs: Sequence[float], ys: Sequence[float], width: int) -> tuple[list[float], list[float]]:
    """At most ``2 * width`` of the points: the lowest and the highest of each of ``width`` buckets, in their order.

    Buckets are cut by index and of one power-of-two size, so while a curve grows its old buckets hold the same points
    (they merge when the size doubles) and the drawn curve does not jump. The lowest and highest points always stay.

    Raises:
        ValueError: ``width`` is not positive, or the lengths differ.
    """
    if width < 1:
        raise ValueError("a curve needs a width of at least 1")
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} x for {len(ys)} y")
    count = len(xs)
    if count <= 2 * width:
        return list(xs), list(ys)
    bucket = 4
    while bucket * width < count:
        bucket *= 2
    kept: list[int] = []
    for start in range(0, count, bucket):
        block = ys[start : start + bucket]
        low, high = start + block.index(min(block)), start + block.index(max(block))
        kept.extend((low,) if low == high else (min(low, high), max(low, high)))
    return [xs[index] for index in kept], [ys[index] for index in kept]


Colour = tuple[int, int, int]
MIN_WIDTH, MIN_HEIGHT = 20, 5
_BLOCKS = "hd"
_BROKEN = "!"
_lock = Lock()
_curves: dict[Hashable, tuple[list[float], list[float], list[float]]] = {}
_MAX_CURVES = 256


class Series(Struct, frozen=True):
    """One curve.

    Attributes:
        version: changes whenever ``xs`` or ``ys`` do, unique among all series; what was worked out for it is kept.
        letter: the marker where curves are told apart without colour.
        smoothing: weight of the moving average, 0 for none.
    """

    version: Hashable
    xs: Sequence[float]
    ys: Sequence[float]
    colour: Colour
    letter: str
    smoothing: float = 0.0


class ChartOptions(Struct, frozen=True):
    """How to draw: ``blocks`` are quadrant blocks, told apart by colour; else each curve is drawn in its letter."""

    log_scale: bool = False
    blocks: bool = True
    colour: bool = True
    whole_x: bool = False


def draw(series: Sequence[Series], width: int, height: int, options: ChartOptions) -> Text:
    """The chart of ``series`` in ``width`` x ``height`` cells, later series on top.

    Returns:
        At most ``height`` lines of at most ``width`` cells; a line of words where there is no room or no finite value;
        nothing where there are no values at all.
    """
    with _lock:
        curves = [(one, *_curve(one, width, options.log_scale)) for one in series] if width > 0 else []
        if not any(xs for _, xs, _, _ in curves):
            broken = any(marks for _, _, _, marks in curves)
            return Text("no finite value to draw"[: max(0, width)] if broken else "")
        if width < MIN_WIDTH or height < MIN_HEIGHT:
            return Text("no room for a chart"[: max(0, width)])
        return Text.from_ansi(_plot(curves, width, height, options), no_wrap=True)


def _curve(one: Series, width: int, log_scale: bool) -> tuple[list[float], list[float], list[float]]:
    """The points of ``one`` to draw, and the x of what could not be drawn; kept by version, the oldest given up first."""
    key = (one.version, one.smoothing, width, log_scale)
    kept = _curves.get(key)
    if kept is None:
        xs, ys, broken = finite(one.xs, one.ys)
        if one.smoothing:
            ys = smooth(ys, one.smoothing)
        if log_scale:
            xs, ys, unplaced = finite(xs, [math.log10(y) if y > 0 else math.nan for y in ys])
            broken = sorted(broken + unplaced)
        kept = (*min_max(xs, ys, width), broken[:: max(1, len(broken) // width)])
        while len(_curves) >= _MAX_CURVES:
            _curves.pop(next(iter(_curves)), None)
        _curves[key] = kept
    return kept


def _plot(
    curves: Sequence[tuple[Series, list[float], list[float], list[float]]],
    width: int,
    height: int,
    options: ChartOptions,
) -> str:
    """The drawing with ANSI colours."""
    import plotext  # type: ignore[import-untyped]

    left, right = _span([axis for _, xs, _, marks in curves for axis in (xs, marks) if axis])
    low, high = _span([ys for _, _, ys, _ in curves if ys])
    plotext.clear_figure()
    plotext.limit_size(False, False)  # its own idea of the terminal is that of the process, not of the widget
    plotext.plot_size(width, height)
    for paint in (plotext.canvas_color, plotext.axes_color, plotext.ticks_color):
        paint("default")
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    for one, xs, ys, marks in curves:
        colour = one.colour if options.colour else "default"
        if xs:
            marker = _BLOCKS if options.blocks else one.letter[:1] or "*"
            plotext.plot(xs, ys, marker=marker, color=colour)
        if marks:
            plotext.scatter(marks, [high] * len(marks), marker=_BROKEN, color=colour)
    plotext.xlim(left, right)
    plotext.ylim(low, high)
    ticks = nice_ticks(left, right, max(2, width // 12), whole=options.whole_x)
    plotext.xticks(ticks, [_label(tick) for tick in ticks])
    ticks = nice_ticks(low, high, max(2, height // 3))
    plotext.yticks(ticks, [_label(10**tick, 3) if options.log_scale else _label(tick) for tick in ticks])
    return str(plotext.build()).rstrip("\n")


def _span(axes: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The least and the greatest value, a little apart where they are one."""
    low, high = min(map(min, axes)), max(map(max, axes))
    if low == high:
        pad = abs(low) * 0.1 or 0.5
        return low - pad, high + pad
    return low, high


def nice_ticks(low: float, high: float, wanted: int, *, whole: bool = False) -> list[float]:
    """About ``wanted`` round numbers within [low, high]: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / max(1, wanted)
    if not rough > 0 or not math.isfinite(rough):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * factor for factor in (1, 2, 5) if power * factor >= rough), power * 10)
    if whole:
        step = max(1.0, step)
    first = math.ceil(low / step - 1e-9)
    ticks = [step * place for place in range(first, first + 4 * wanted + 4) if step * place <= high + step * 1e-9]
    return ticks or [low, high]


def _label(value: float, digits: int = 5) -> str:
    """``value`` in few characters."""
    if value == 0 or 0.001 <= abs(value) < 100_000:
        return f"{value:.{digits}g}"
    return f"{value:.0e}"
