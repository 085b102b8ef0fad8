"""The log of one run: a filtered, scrolled window over its bounded buffer, rendered line by line and never as markup."""

from __future__ import annotations

import re
from collections import deque
from itertools import islice

from msgspec import Struct
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.runs.log_buffer import MAX_LINES, LogBuffer
from console.ui.actions import bindings

_SIDEWAYS = 20  # columns
_EMPTY = "No log yet: it begins when the run does."
_NO_MATCH = "No line passes the filter; Esc shows every line."


class LogFilter(Struct, frozen=True):
    """Accepts lines that contain every text of ``include`` and none of ``exclude``, ignoring case."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> LogFilter:
        """``loss !nan`` shows lines with "loss" and without "nan"; a lone ``!`` is ignored."""
        terms = text.lower().split()
        exclude = tuple(term[1:] for term in terms if term.startswith("!") and len(term) > 1)
        return cls(tuple(term for term in terms if not term.startswith("!")), exclude)

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)

    def accepts(self, line: str) -> bool:
        """Whether ``line`` passes."""
        lowered = line.lower()
        return all(text in lowered for text in self.include) and not any(text in lowered for text in self.exclude)


class FilteredLines:
    """Lines of a buffer that pass a filter, oldest first, each with its number in the whole log; updated by new lines only."""

    def __init__(self, buffer: LogBuffer, line_filter: LogFilter) -> None:
        self.lines: deque[tuple[int, str]] = deque(maxlen=MAX_LINES)
        self.widest = 0
        self._buffer = buffer
        self._filter = line_filter
        self._seen = 0
        self._cleared = buffer.cleared

    def update(self) -> tuple[bool, int]:
        """Add the lines that the buffer has received since the last update.

        Returns:
            Whether anything changed, and how many lines were dropped from the front.
        """
        dropped = 0
        cleared = self._buffer.cleared != self._cleared
        if cleared:  # it may hold more lines of another launch than it held before
            self._cleared = self._buffer.cleared
            dropped = len(self.lines)
            self.lines.clear()
            self.widest = self._seen = 0
        kept = self._buffer.lines
        first = self._buffer.total - len(kept)
        while self.lines and self.lines[0][0] < first:
            self.lines.popleft()
            dropped += 1
        start = max(self._seen, first)
        changed = cleared or dropped > 0 or start < self._buffer.total
        for number, line in enumerate(islice(kept, start - first, None), start=start):
            if self._filter.accepts(line):
                self.lines.append((number, line))
                self.widest = max(self.widest, len(line) if line.isascii() else cell_len(line))
        self._seen = self._buffer.total
        return changed, dropped


class LogView(ScrollView, inherit_bindings=False):
    """Scrollable log that follows its end until the operator scrolls up; then its lines stay in place while new ones arrive."""

    BINDINGS = bindings("log")
    can_focus = True

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.following = True
        self.filter = LogFilter()
        self._buffer = LogBuffer()
        self._shown = FilteredLines(self._buffer, self.filter)
        self._matches: re.Pattern[str] | None = None

    @property
    def counts(self) -> tuple[int, int]:
        """Lines that pass the filter, and lines of the whole log."""
        return len(self._shown.lines), self._buffer.total

    def show(self, buffer: LogBuffer) -> None:
        """Show another log and follow it."""
        self._buffer = buffer
        self._restart()
        self.follow(True)

    def set_filter(self, line_filter: LogFilter) -> None:
        """Show only the lines that ``line_filter`` accepts."""
        self.filter = line_filter
        texts = "|".join(re.escape(text) for text in line_filter.include)
        self._matches = re.compile(texts, re.IGNORECASE) if texts else None
        self._restart()

    def follow(self, following: bool) -> None:
        """Follow the end from now on, or pause."""
        self.following = following
        if following:
            self._to_end()

    def poll(self) -> bool:
        """Show the lines that arrived since the last call; returns whether anything changed."""
        changed, dropped = self._shown.update()
        if changed:
            self._resize()
            if self.following:
                self._to_end()
            elif dropped:
                self.scroll_to(y=max(0, self.scroll_offset.y - dropped), animate=False, immediate=True)
            self.refresh()
        elif self.following and self.scroll_offset.y < self.max_scroll_y:
            self._to_end()  # the widget shrank, or has just got its size
        return changed

    def _restart(self) -> None:
        self._shown = FilteredLines(self._buffer, self.filter)
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
        """Keep the end visible, once the new size applies."""
        if self.following:
            self.call_after_refresh(self._to_end)

    def action_scroll_left(self) -> None:
        self.scroll_relative(x=-_SIDEWAYS, animate=False)

    def action_scroll_right(self) -> None:
        self.scroll_relative(x=_SIDEWAYS, animate=False)

    def action_scroll_end(self) -> None:
        """Scroll to the end and follow it."""
        self.follow(True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Reaching the end follows again, leaving it pauses."""
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value:
            self.following = new_value >= self.max_scroll_y
        elif self.max_scroll_y and new_value >= self.max_scroll_y:
            self.following = True

    def render_line(self, y: int) -> Strip:
        """Line ``y`` of the visible window; the cost does not grow with the log."""
        x, top = self.scroll_offset
        width, base = self.size.width, self.rich_style
        lines = self._shown.lines
        index = top + y
        if index >= len(lines):
            text = (_NO_MATCH if self.filter and self._buffer.total else _EMPTY) if y == 0 and not lines else ""
            return Strip([Segment(text, base + Style(italic=True))]).adjust_cell_length(width, base)
        line = lines[index][1]
        strip = Strip(self._segments(line, base), cell_len(line))
        return strip.crop_extend(x, x + width, base)

    def _segments(self, line: str, base: Style) -> list[Segment]:
        """``line`` with the texts of the filter in reverse video."""
        if self._matches is None:
            return [Segment(line, base)]
        segments, end = [], 0
        for match in self._matches.finditer(line):
            segments += [Segment(line[end : match.start()], base), Segment(match[0], base + Style(reverse=True))]
            end = match.end()
        return [*segments, Segment(line[end:], base)]
