"""The line of views, the present one marked; on its right, what the console is busy with, else what is at home."""

from __future__ import annotations

import time

from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from console.number_words import age
from console.ui.actions import VIEWS, ViewName
from console.ui.messages import ViewWanted


class TabLine(Widget):
    """One line; a click on a view goes there."""

    current: reactive[ViewName] = reactive[ViewName]("runs")
    work: reactive[str] = reactive("")
    elapsed: reactive[str] = reactive("", init=False)
    home: reactive[Content] = reactive(Content(""), init=False)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._since = 0.0

    def watch_work(self) -> None:
        """Count from the beginning of the work."""
        self._since = time.monotonic()
        self.tick()

    def tick(self) -> None:
        """Let the time of the work go on."""
        self.elapsed = age(time.monotonic() - self._since) if self.work else ""

    def render(self) -> Content:
        """The views; beside them, the work or what is at home."""
        tabs = Content("").join(
            Content.styled(_tab(place, title, name == self.current), "bold reverse" if name == self.current else "")
            for place, (name, title) in enumerate(VIEWS, start=1)
        )
        room = max(0, self.size.width - tabs.cell_length)
        beside = (
            Content.styled(f"{self.work}, {self.elapsed} ", "$text-warning") if self.work else self.home.pad_right(1)
        )
        beside = beside.truncate(room, ellipsis=True)
        return tabs.pad_right(max(0, room - beside.cell_length)) + beside

    def on_click(self, event: events.Click) -> None:
        """Go to the view that was clicked."""
        left = 0
        for place, (name, title) in enumerate(VIEWS, start=1):
            left += len(_tab(place, title, False))
            if event.x < left:
                self.post_message(ViewWanted(name))
                return


def _tab(place: int, title: str, current: bool) -> str:
    return f">{place} {title}<" if current else f" {place} {title} "
