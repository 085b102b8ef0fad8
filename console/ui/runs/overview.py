"""The overview below the matrix, where the screen has room for it; drawn again only when what it shows may differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

if TYPE_CHECKING:  # drawn after the first paint
    from console.ui.runs.overview_text import OverviewData

LEAST_HEIGHT = 4  # lines of the smallest panel and the empty line above


class Overview(Widget, can_focus=False):
    """Panels on the selected run, the host, the queue and the warnings."""

    text: reactive[Content] = reactive(Content(""), init=False)

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._data: OverviewData | None = None

    def show(self, data: OverviewData) -> None:
        """Show ``data``; expected times are drawn again each minute."""
        known = self._data
        if (
            known is not None
            and known.snapshot is data.snapshot
            and known.selected == data.selected
            and known.glyphs is data.glyphs
            and known.now // 60 == data.now // 60
        ):
            return
        self._data = data
        self.on_resize()

    def on_resize(self) -> None:
        """Fit the panels to the room there is."""
        from console.ui.runs.overview_text import overview_lines

        size = self.content_size
        if self._data is not None and size.height >= LEAST_HEIGHT - 1 and size.width > 0:
            self.text = Content("\n").join(overview_lines(self._data, size.width, size.height))

    def render(self) -> Content:
        return self.text
