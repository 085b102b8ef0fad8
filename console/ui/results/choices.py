"""A short list of which one line is selected; the window around it is shown, so that any number of choices fits."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static


class Choices(Static):
    """One line for each choice.

    Args:
        lines: what the choices say.
        height: lines shown at a time.
        selected: the line selected first.
    """

    def __init__(self, lines: Sequence[Content], *, height: int, id: str, selected: int = 0) -> None:
        super().__init__("", id=id, markup=False)
        self.selected = selected
        self._lines = lines
        self._height = height

    def on_resize(self) -> None:
        """Cut the lines to the width."""
        self.move(0)

    def move(self, by: int) -> None:
        """Select the line ``by`` lines below; the selection stops at the ends."""
        self.selected = min(max(0, self.selected + by), len(self._lines) - 1)
        first = min(max(0, self.selected - self._height // 2), max(0, len(self._lines) - self._height))
        shown = range(first, min(len(self._lines), first + self._height))
        marks = ((("▸ ", "bold $text-accent") if at == self.selected else "  ") for at in shown)
        lines = [Content.assemble(mark, self._lines[at]) for mark, at in zip(marks, shown, strict=True)]
        self.update(Content("\n").join(line.truncate(max(20, self.size.width), ellipsis=True) for line in lines))
