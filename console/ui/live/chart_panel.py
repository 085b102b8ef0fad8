"""Widget that shows one chart; a thread draws it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace
from rich.text import Text
from textual import events, on, work
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from console.charts.chart import SMOOTHINGS, Chart, YMode
from console.charts.metrics import Metric
from console.glyphs import GlyphName
from console.ui.actions import bindings
from console.ui.messages import ENDED

_SHARE = 0.015  # of a core, at most, to draw new data of all visible charts: expensive ones follow less often
_SECONDS = 1.0  # between two drawings of new data, at least


class PanelState(Struct, frozen=True):
    """Options of one chart alone: its metric, smoothing and y axis; those of all charts are in ``ChartCommands``."""

    metric: Metric
    smoothing: float = 0.0
    log_scale: bool = False
    y_mode: YMode = "automatic"
    y_range: tuple[float, float] | None = None

    def smoother(self, by: int) -> PanelState:
        """The state with the next stronger or weaker smoothing."""
        at = min(range(len(SMOOTHINGS)), key=lambda place: abs(SMOOTHINGS[place] - self.smoothing))
        return replace(self, smoothing=SMOOTHINGS[max(0, min(len(SMOOTHINGS) - 1, at + by))])


class Drawn(Struct, frozen=True):
    """A finished drawing: the text, the limits of both axes, and where the canvas lies."""

    content: Content = Content("")
    x_limits: tuple[float, float] | None = None
    y_limits: tuple[float, float] | None = None
    left: int = 0
    columns: int = 0


class ChartPanel(Widget, can_focus=True):
    """A chart; of several requests the newest is drawn, and the last drawing stays until the next one is ready."""

    BINDINGS = bindings("chart")

    drawn: reactive[Drawn] = reactive(Drawn(), init=False)
    chosen: reactive[bool] = reactive(False, init=False)
    state: PanelState

    @dataclass
    class Clicked(Message):
        """Posted when a chart is clicked, at ``x`` of its axis if on the canvas."""

        panel: ChartPanel
        x: float | None

    class Left(Message):
        """Posted when a key leaves the full screen, or removes the crosshair."""

    @dataclass
    class Scrolled(Message):
        """Posted when the wheel is turned over a chart: up is 1, down is -1."""

        panel: ChartPanel
        by: int

    class CrosshairToggled(Message):
        """Posted when a key shows the crosshair or removes it."""

    @dataclass
    class CrosshairMoved(Message):
        """Posted when a key moves the crosshair of a chart by ``columns``; a whole canvas or more goes to its edge."""

        panel: ChartPanel
        columns: int

    def __init__(self, state: PanelState, *, id: str) -> None:
        super().__init__(id=id, classes="chart")
        self.state = state
        self.chart: Chart | None = None
        self.charts = 1  # that are visible beside it, this one included
        self._busy = False
        self._request: tuple[Callable[[], Chart], GlyphName] | None = None
        self._key: object = None
        self._choices: object = None
        self._not_before = 0.0

    def request(self, choices: object, data: object, chart: Callable[[], Chart], glyphs: GlyphName) -> None:
        """Ask for a drawing, unless it would be the same as the one asked for last.

        Args:
            choices: equal while the operator has chosen nothing else; a new choice is drawn at once.
            data: equal if ``chart`` would have the same values.
            chart: called in the thread.
        """
        choices = (choices, glyphs, self.size)
        if (choices, data) == self._key or (choices == self._choices and time.monotonic() < self._not_before):
            return
        self._key, self._choices, self._request = (choices, data), choices, (chart, glyphs)
        self._start()

    def _start(self) -> None:
        width, height = self.size.width, self.size.height
        if self._request is None or self._busy or width <= 0 or height <= 0:
            return
        self._busy = True
        request, self._request = self._request, None
        self._draw(*request, width, height)

    @work(thread=True, exit_on_error=False)
    def _draw(self, chart: Callable[[], Chart], glyphs: GlyphName, width: int, height: int) -> tuple[Chart, Drawn]:
        from console.charts.drawing import drawing_of

        started = time.thread_time()
        made = chart()
        drawing = drawing_of(made, width, height, glyphs)
        content = Content.from_rich_text(drawing.text, console=self.app.console)
        cost = (time.thread_time() - started) * self.charts / _SHARE
        self._not_before = time.monotonic() + max(_SECONDS, cost)
        return made, Drawn(content, drawing.x_limits, drawing.y_limits, drawing.left, drawing.columns)

    @on(Worker.StateChanged)
    def _show_drawing(self, event: Worker.StateChanged) -> None:
        event.stop()
        if event.state in ENDED:
            self._busy = False
            if event.state is WorkerState.ERROR:
                self.drawn = Drawn(Content.from_rich_text(Text(f"The chart could not be drawn: {event.worker.error}")))
            elif event.worker.result is not None:
                self.chart, self.drawn = event.worker.result
            self._start()

    def render(self) -> Content:
        """The drawing, its title in reverse video if the chart is the one that keys act on."""
        content = self.drawn.content
        if not content.plain:
            content = Content(self.state.metric.title)
        end = len(content.plain.partition("\n")[0])
        return content.stylize("reverse", 0, end) if self.chosen else content

    def on_click(self, event: events.Click) -> None:
        drawn, x = self.drawn, None
        column = event.get_content_offset_capture(self).x - drawn.left
        if drawn.x_limits is not None and 0 <= column < drawn.columns:
            low, high = drawn.x_limits
            x = low + (high - low) * column / max(1, drawn.columns - 1)
        self.post_message(self.Clicked(self, x))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.post_message(self.Scrolled(self, 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.post_message(self.Scrolled(self, -1))

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_toggle_crosshair(self) -> None:
        self.post_message(self.CrosshairToggled())

    def action_move_crosshair(self, columns: int) -> None:
        self.post_message(self.CrosshairMoved(self, columns))
