"""Line charts as text, and the widget that shows one; the only module that knows plotext.

plotext keeps its figure in global state and raises on infinity and on the log of 0: so each drawing resets it under a lock,
draws finite values only, and takes the logarithm itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from threading import Lock
from weakref import WeakKeyDictionary

from msgspec import Struct
from rich.text import Text
from textual import on, work
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from console.runs.series import PointStorage, Series, SeriesReduction
from console.ui.messages import ENDED

Colour = tuple[int, int, int]
MIN_WIDTH, MIN_HEIGHT = 20, 5
_BLOCKS = "hd"
_BROKEN = "!"
_lock = Lock()
# By storage, so a reduction is updated while its series grows and dropped with the last version of it.
_reductions: WeakKeyDictionary[PointStorage, dict[tuple[float, bool], SeriesReduction]] = WeakKeyDictionary()


class Curve(Struct, frozen=True):
    """A series and how it is drawn.

    Attributes:
        letter: the marker where curves are told apart without colour.
        smoothing: weight of the moving average, 0 for none.
    """

    series: Series
    colour: Colour
    letter: str
    smoothing: float = 0.0


class ChartOptions(Struct, frozen=True):
    """How to draw: ``blocks`` are quadrant blocks, told apart by colour; else each curve is drawn in its letter."""

    log_scale: bool = False
    blocks: bool = True
    colour: bool = True
    whole_x: bool = False


def draw(curves: Sequence[Curve], width: int, height: int, options: ChartOptions) -> Text:
    """The chart of ``curves`` in ``width`` x ``height`` cells, later curves on top.

    Returns:
        At most ``height`` lines of at most ``width`` cells; one line of text if there is no room or no finite value;
        nothing if there are no values at all.
    """
    with _lock:
        reduced = [(curve, *_reduced(curve, width, options.log_scale)) for curve in curves] if width > 0 else []
        if not any(xs for _, xs, _, _ in reduced):
            broken = any(marks for _, _, _, marks in reduced)
            return Text("no finite value to draw"[: max(0, width)] if broken else "")
        if width < MIN_WIDTH or height < MIN_HEIGHT:
            return Text("no room for a chart"[: max(0, width)])
        return Text.from_ansi(_plot(reduced, width, height, options), no_wrap=True)


def _reduced(curve: Curve, width: int, log_scale: bool) -> tuple[list[float], list[float], list[float]]:
    """The x and y of the points of ``curve`` to draw, and the x of those that cannot be drawn."""
    kept = _reductions.setdefault(curve.series.storage, {})
    key = (curve.smoothing, log_scale)
    reduction = kept.get(key)
    if reduction is None or reduction.read > len(curve.series):  # an older version of the series starts again
        reduction = kept[key] = SeriesReduction(smoothing=curve.smoothing, log_scale=log_scale)
    reduction.update(curve.series)
    return (*reduction.points(width), reduction.marks(width))


def _plot(
    curves: Sequence[tuple[Curve, list[float], list[float], list[float]]],
    width: int,
    height: int,
    options: ChartOptions,
) -> str:
    """The drawing with ANSI colours."""
    import plotext  # type: ignore[import-untyped]

    left, right = _span([axis for _, xs, _, marks in curves for axis in (xs, marks) if axis])
    low, high = _span([ys for _, _, ys, _ in curves if ys])
    plotext.clear_figure()
    plotext.limit_size(False, False)  # it would cut to the process's terminal, not to the widget
    plotext.plot_size(width, height)
    for paint in (plotext.canvas_color, plotext.axes_color, plotext.ticks_color):
        paint("default")
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    for curve, xs, ys, marks in curves:
        colour = curve.colour if options.colour else "default"
        if xs:
            marker = _BLOCKS if options.blocks else curve.letter[:1] or "*"
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
    """Lowest and highest value, moved apart where they are equal."""
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
    ticks = [step * number for number in range(first, first + 4 * wanted + 4) if step * number <= high + step * 1e-9]
    return ticks or [low, high]


def _label(value: float, digits: int = 5) -> str:
    """``value`` in few characters."""
    if value == 0 or 0.001 <= abs(value) < 100_000:
        return f"{value:.{digits}g}"
    return f"{value:.0e}"


class ChartPanel(Widget):
    """A chart under its title; a thread draws, one drawing at a time, and of several requests the newest is drawn."""

    title: reactive[Content] = reactive(Content(""), init=False)
    drawing: reactive[Text] = reactive(Text(""), init=False)

    def __init__(self, empty: str, *, id: str) -> None:
        super().__init__(id=id)
        self._empty = empty
        self._busy = False
        self._request: tuple[Callable[[], Sequence[Curve]], ChartOptions] | None = None
        self._key: object = None

    def request(self, key: object, curves: Callable[[], Sequence[Curve]], options: ChartOptions) -> None:
        """Ask for a drawing of ``curves``, unless it would be the same as the one asked for last.

        The last drawing stays until the new one is ready.

        Args:
            key: equal if ``curves`` would return the same.
            curves: called in the thread.
        """
        key = (key, options, self.size)
        if key != self._key:
            self._key, self._request = key, (curves, options)
            self._start()

    def _start(self) -> None:
        width, height = self.size.width, self.size.height - 1
        if self._request is None or self._busy or width <= 0 or height <= 0:
            return
        self._busy = True
        request, self._request = self._request, None
        self._draw(*request, width, height)

    @work(thread=True, exit_on_error=False)
    def _draw(self, curves: Callable[[], Sequence[Curve]], options: ChartOptions, width: int, height: int) -> Text:
        return draw(curves(), width, height, options)

    @on(Worker.StateChanged)
    def _show_drawing(self, event: Worker.StateChanged) -> None:
        if event.state in ENDED:
            self._busy = False
            if event.state is WorkerState.ERROR:
                self.drawing = Text(f"The chart could not be drawn: {event.worker.error}")
            elif event.worker.result is not None:
                self.drawing = event.worker.result
            self._start()

    def render(self) -> Content:
        """The title and the drawing, or a sentence on when there will be one."""
        title = self.title.truncate(self.size.width, ellipsis=True)
        if not self.drawing.plain:
            return Content("\n").join([title, Content.styled(self._empty, "italic $foreground-muted")])
        return Content("\n").join([title, Content.from_rich_text(self.drawing, console=self.app.console)])
