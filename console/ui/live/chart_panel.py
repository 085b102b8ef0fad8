"""A chart under its title; drawn by a thread, one drawing at a time, the newest wish wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual import on, work
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.worker import Worker, WorkerState

from console.ui.live.chart import ChartOptions, Series, draw
from console.ui.messages import ChartDrawn


class ChartPanel(Widget):
    """Shows the last drawing until the next one is ready."""

    title: reactive[Content] = reactive(Content(""), init=False)
    drawing: reactive[Text] = reactive(Text(""), init=False)

    def __init__(self, empty: str, *, id: str) -> None:
        super().__init__(id=id)
        self._empty = empty
        self._busy = False
        self._wish: tuple[Callable[[], Sequence[Series]], ChartOptions] | None = None

    def wish(self, curves: Callable[[], Sequence[Series]], options: ChartOptions) -> None:
        """Ask for a drawing of ``curves``, which are worked out in the thread too."""
        self._wish = (curves, options)
        self._begin()

    def _begin(self) -> None:
        width, height = self.size.width, self.size.height - 1
        if self._wish is None or self._busy or width <= 0 or height <= 0:
            return
        self._busy = True
        wish, self._wish = self._wish, None
        self._draw(*wish, width, height)

    @work(thread=True, exit_on_error=False)
    def _draw(self, curves: Callable[[], Sequence[Series]], options: ChartOptions, width: int, height: int) -> None:
        self.post_message(ChartDrawn(draw(curves(), width, height, options)))

    @on(ChartDrawn)
    def _show(self, message: ChartDrawn) -> None:
        message.stop()
        self.drawing = message.drawing

    @on(Worker.StateChanged)
    def _next(self, event: Worker.StateChanged) -> None:
        if event.state in (WorkerState.SUCCESS, WorkerState.ERROR, WorkerState.CANCELLED):
            self._busy = False
            if event.state is WorkerState.ERROR:
                self.drawing = Text(f"The chart could not be drawn: {event.worker.error}")
            self._begin()

    def render(self) -> Content:
        """The title and the drawing, or what to do when there is nothing to draw."""
        title = self.title.truncate(self.size.width, ellipsis=True)
        if not self.drawing.plain:
            return Content("\n").join([title, Content.styled(self._empty, "italic $text-muted")])
        return Content("\n").join([title, Content.from_rich_text(self.drawing, console=self.app.console)])
