"""The log of one run: a scrolled window over its bounded buffer, drawn line by line, never parsed as markup."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.runs.log_buffer import LogBuffer
from console.ui.actions import bindings
from console.ui.live.log_filter import LogFilter, ShownLines

_SIDEWAYS = 20
_NOTHING = "No log yet: it begins when the run does."
_FILTERED = "No line passes the filter; Esc shows every line."


class LogView(ScrollView, inherit_bindings=False):
    """Follows the end of the log until the operator scrolls up; then it holds still, whatever arrives."""

    BINDINGS = bindings("log")
    can_focus = True

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.following = True
        self.wanted = LogFilter()
        self._buffer = LogBuffer()
        self._shown = ShownLines(self._buffer, self.wanted)
        self._matches: re.Pattern[str] | None = None

    @property
    def counts(self) -> tuple[int, int]:
        """Lines shown, and lines the log has had in all."""
        return len(self._shown.lines), self._buffer.total

    def show(self, buffer: LogBuffer) -> None:
        """Turn to another log, following it."""
        self._buffer = buffer
        self._restart()
        self.follow(True)

    def set_filter(self, wanted: LogFilter) -> None:
        """Show only what ``wanted`` admits."""
        self.wanted = wanted
        texts = "|".join(re.escape(text) for text in wanted.include)
        self._matches = re.compile(texts, re.IGNORECASE) if texts else None
        self._restart()

    def follow(self, following: bool) -> None:
        """Follow the end from here on, or hold still."""
        self.following = following
        if following:
            self._to_end()

    def poll(self) -> bool:
        """Take in new lines; returns whether anything changed."""
        changed, gone = self._shown.update()
        if changed:
            self._resize()
            if self.following:
                self._to_end()
            elif gone:
                self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, immediate=True)
            self.refresh()
        elif self.following and self.scroll_offset.y < self.max_scroll_y:
            self._to_end()  # the room became smaller, or known at last
        return changed

    def _restart(self) -> None:
        self._shown = ShownLines(self._buffer, self.wanted)
        self._shown.update()
        self._resize()
        if self.following:
            self._to_end()
        self.refresh()

    def _resize(self) -> None:
        self.virtual_size = Size(self._shown.widest + 1, len(self._shown.lines))

    def _to_end(self) -> None:
        self.scroll_to(y=max(0, len(self._shown.lines) - self.size.height), animate=False, immediate=True)

    def on_resize(self) -> None:
        """Keep the end in sight, once the new size is in force."""
        if self.following:
            self.call_after_refresh(self._to_end)

    def action_scroll_left(self) -> None:
        """A quarter of the usual width to the left."""
        self.scroll_relative(x=-_SIDEWAYS, animate=False)

    def action_scroll_right(self) -> None:
        """A quarter of the usual width to the right."""
        self.scroll_relative(x=_SIDEWAYS, animate=False)

    def action_scroll_end(self) -> None:
        """To the end, and follow it."""
        self.follow(True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Reaching the end follows again, leaving it holds still."""
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value:
            self.following = new_value >= self.max_scroll_y
        elif self.max_scroll_y and new_value >= self.max_scroll_y:
            self.following = True

    def render_line(self, y: int) -> Strip:
        """The line at ``y`` of the window; costs no more for a longer log."""
        x, top = self.scroll_offset
        width, base = self.size.width, self.rich_style
        lines = self._shown.lines
        index = top + y
        if index >= len(lines):
            words = (_FILTERED if self.wanted and self._buffer.total else _NOTHING) if y == 0 and not lines else ""
            return Strip([Segment(words, base + Style(italic=True))]).adjust_cell_length(width, base)
        line = lines[index][1]
        strip = Strip(self._segments(line, base), cell_len(line))
        return strip.crop_extend(x, x + width, base)

    def _segments(self, line: str, base: Style) -> list[Segment]:
        """``line`` with what the filter found set off."""
        if self._matches is None:
            return [Segment(line, base)]
        segments, end = [], 0
        for match in self._matches.finditer(line):
            segments += [Segment(line[end : match.start()], base), Segment(match[0], base + Style(reverse=True))]
            end = match.end()
        return [*segments, Segment(line[end:], base)]
