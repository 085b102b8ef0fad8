"""The lines of a log: a scrolled window that reads what it shows from the log's file, rendered line by line, never as markup."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.runs.log_rows import AllRows, FoldedRows, LogRows
from console.runs.log_search import LogSearch
from console.runs.log_store import LogStore
from console.runs.log_text import LogLine
from console.ui.actions import key_of

_WIDEST = 4200  # columns: a line is cut before
_SIDEWAYS = 20  # columns
_EMPTY = "No log yet: it begins when the run does."
_NO_MATCH = "No line passes the filter; {key} shows every line."
_SEARCHING = "Searching…"
_CUT = "…"  # where a line goes on beyond the window
_STYLES = ("time", "debug", "warning", "error", "match", "cursor", "folded")


class LogView(ScrollView, inherit_bindings=False):
    """Scrollable log that follows its end until the operator moves up; then its lines stay in place while new ones arrive.

    Attributes:
        following: the end is shown, and whatever comes after it.
        cursor: number of the selected line while it does not follow.
        filtering: rows are the lines that the search accepts; else these are highlighted.
        folding: progress takes one row, while nothing is searched.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"log--{name}" for name in _STYLES}
    can_focus = True

    class Moved(Message):
        """Posted when another line is selected, or the end of the log is followed or no longer."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.store = LogStore()
        self.search: LogSearch | None = None
        self.following = True
        self.filtering = True
        self.folding = True
        self.cursor = 0
        self._rows: LogRows = FoldedRows(self.store)
        self._opened = 0
        self._anchor = (0, 0)  # line, and in which line of the window it is shown

    def show(self, store: LogStore) -> None:
        """Show another log and follow it."""
        self.store, self._opened = store, store.opened
        self.cursor = 0
        self._choose_rows()
        self.follow(True)

    def set_search(self, search: LogSearch | None) -> None:
        """Show or highlight what ``search`` accepts."""
        self.search = search
        self._choose_rows()

    def set_filtering(self, filtering: bool) -> None:
        """Show accepted lines only, or highlight them among all."""
        self.filtering = filtering
        self._choose_rows()

    def set_folding(self, folding: bool) -> None:
        """Show one row for each progress, or each of its lines."""
        self.folding = folding
        self._choose_rows()

    def follow(self, following: bool) -> None:
        """Follow the end from now on, or pause at the last visible line."""
        if self.following and not following:
            self.cursor = self._rows.line(max(0, min(self._rows.count - 1, self._top + self.size.height - 1)))
        self.following = following
        if following:
            self._to_end()
        self._remember_place()
        self.refresh()
        self.post_message(self.Moved())

    def sync(self) -> None:
        """Show the log as it is known now; lines that are shown stay in place unless the end is followed."""
        if self._opened != self.store.opened:  # another launch's log took its place
            self._opened = self.store.opened
            self.cursor, self._anchor = 0, (0, 0)
            self.following = True
        line, y = self._anchor
        self._resize()
        if self.following:
            self._to_end()
        elif self.search is not None and self.filtering:  # rows may have come in above
            self._scroll(self._rows.row(line) - y)
        self.refresh()

    def select(self, line: int, *, centre: bool = True) -> None:
        """Pause and put the cursor on ``line``."""
        self.following = False
        self.cursor = line
        row, height = self._rows.row(line), max(1, self.size.height)
        if not self._top <= row < self._top + height:
            self._scroll(row - height // 2 if centre else (row if row < self._top else row - height + 1))
        self._remember_place()
        self.refresh()
        self.post_message(self.Moved())

    @property
    def is_outdated(self) -> bool:
        """Whether the rows are not those of the log as it is known now."""
        return self._opened != self.store.opened or self.virtual_size.height != self._rows.count

    def keep_end(self) -> None:
        """Show the end after the widget shrank, or has just got its size."""
        if self.following and self._top < self.max_scroll_y:
            self._to_end()

    @property
    def current_line(self) -> int:
        """The selected line; the last one while the end is followed."""
        return self._rows.line(max(0, self._rows.count - 1)) if self.following else self.cursor

    def move_cursor(self, rows: int) -> None:
        """Move the cursor; down from the last row follows the end."""
        last = self._rows.count - 1
        if last < 0:
            return
        if self.following:
            if rows >= 0:
                return
            row = last + rows + 1 if rows < -1 else last
        else:
            row = self._rows.row(self.cursor)
            if rows > 0 and row == last:
                self.follow(True)
                return
            if not self._top <= row < self._top + self.size.height:  # it was scrolled out of sight
                row = self._top if rows > 0 else self._top + self.size.height - 1
            else:
                row += rows
        self.select(self._rows.line(max(0, min(last, row))), centre=False)

    def move_page(self, pages: int) -> None:
        """Move the cursor by what the window holds, and the window with it."""
        self.move_cursor(pages * max(1, self.size.height - 1))

    def scroll_sideways(self, by: int) -> None:
        """Show another part of long lines."""
        self.scroll_relative(x=by * _SIDEWAYS, animate=False, immediate=True)

    def to_first(self) -> None:
        """Select the first line."""
        if self._rows.count:
            self.select(self._rows.line(0))

    def _choose_rows(self) -> None:
        line = self.current_line if self.store.total else 0
        if self.search is not None and self.filtering:
            self._rows = self.search
        elif self.search is not None or not self.folding:
            self._rows = AllRows(self.store)
        else:
            self._rows = FoldedRows(self.store)
        self._resize()
        if self.following:
            self._to_end()
        else:
            self._scroll(self._rows.row(line) - self.size.height // 2)
            self._remember_place()
        self.refresh()

    @property
    def _top(self) -> int:
        return self.scroll_offset.y

    def _resize(self) -> None:
        self.virtual_size = Size(_WIDEST, self._rows.count)

    def _scroll(self, y: int) -> None:
        # forced: a window that was too small for the lines a moment ago has no scrollbar yet
        self.scroll_to(y=max(0, y), animate=False, immediate=True, force=True)

    def _to_end(self) -> None:
        self._scroll(self._rows.count - self.size.height)

    def _remember_place(self) -> None:
        row = self._rows.row(self.cursor)
        if self._top <= row < self._top + self.size.height:
            self._anchor = (self.cursor, row - self._top)
        elif self._top < self._rows.count:
            self._anchor = (self._rows.line(self._top), 0)
        else:
            self._anchor = (self.cursor, max(0, self.size.height // 2))

    def on_resize(self) -> None:
        """Keep the end, or the cursor if it was visible, in the window once the new size applies."""
        self.call_after_refresh(self._keep_place)

    def _keep_place(self) -> None:
        row, height = self._rows.row(self.cursor), max(1, self.size.height)
        if self.following:
            self._to_end()
        elif self._anchor[0] == self.cursor and not self._top <= row < self._top + height:
            self._scroll(row - height + 1)
            self._remember_place()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling up pauses, reaching the end with the wheel or the scrollbar follows again."""
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value and self.following and new_value < self.max_scroll_y:
            self.follow(False)

    def on_mouse_scroll_down(self) -> None:
        """Follow again once the wheel has reached the end."""
        self.call_next(self._follow_at_end)  # after the base class has scrolled

    def _follow_at_end(self) -> None:
        if not self.following and self.max_scroll_y and self.scroll_target_y >= self.max_scroll_y:
            self.follow(True)

    def on_click(self, event: events.Click) -> None:
        """Select the line under the mouse."""
        row = self._top + event.get_content_offset_capture(self).y
        if 0 <= row < self._rows.count:
            self.select(self._rows.line(row))

    def render_line(self, y: int) -> Strip:
        """Line ``y`` of the window; the cost does not grow with the log."""
        width, base = self.size.width, self.rich_style
        row = self._top + y
        if row >= self._rows.count:
            text = self._empty_text() if y == 0 and not self._rows.count else ""
            return Strip([Segment(text, base + Style(italic=True))]).adjust_cell_length(width, base)
        line = self.store.line(self._rows.line(row))
        folded = self._rows.folded(row) if isinstance(self._rows, FoldedRows) else 0
        is_cursor = not self.following and self._rows.row(self.cursor) == row
        if is_cursor:
            base += self.get_component_rich_style("log--cursor")
        gutter = [Segment(_clock(line.time), base + self.get_component_rich_style("log--time", partial=True))]
        if not self.store.has_times:
            gutter = []
        if folded:
            gutter.append(Segment(f"+{folded:,} ", base + self.get_component_rich_style("log--folded", partial=True)))
        visible = self.scrollable_content_region.width  # less than the width beside a scrollbar
        room = max(0, visible - sum(map(len, (part.text for part in gutter))))
        whole, left = Strip(self._segments(line, base)), self.scroll_offset.x
        strip = whole.crop_extend(left, left + room, base)
        if room > 2 and whole.cell_length > left + room:
            strip = Strip([*strip.crop(0, room - 1), Segment(_CUT, base)])
        if room > 2 and left and whole.cell_length > left:
            strip = Strip([Segment(_CUT, base), *strip.crop(1)])
        return Strip([*gutter, *strip], width).adjust_cell_length(width, base)

    def _empty_text(self) -> str:
        if self.search is None or not self.store.total:
            return _EMPTY if not self.store.error else self.store.error
        return _SEARCHING if self.search.behind else _NO_MATCH.format(key=key_of("clear_search"))

    def _segments(self, line: LogLine, base: Style) -> list[Segment]:
        """``line`` in the style of its level, matches of the search in their own."""
        style = base
        if line.level in ("debug", "warning", "error"):
            style += self.get_component_rich_style(f"log--{line.level}", partial=True)
        spans = self.search.spans(line.text) if self.search is not None else []
        parts = _cut_info(line, base, style, self.get_component_rich_style("log--time", partial=True))
        if not spans:
            return parts
        match = self.get_component_rich_style("log--match", partial=True)
        segments, end = [], 0
        for start, stop in spans:
            if stop > end:
                segments.append(Segment(line.text[end:start], style))
                segments.append(Segment(line.text[max(start, end) : stop], style + match))
                end = stop
        return [*segments, Segment(line.text[end:], style)]


def _cut_info(line: LogLine, base: Style, style: Style, dim: Style) -> list[Segment]:
    """The word INFO is dim, the text after it is not."""
    if line.level == "info" and line.text.startswith("INFO"):
        return [Segment("INFO", base + dim), Segment(line.text[4:], style)]
    return [Segment(line.text, style)]


@lru_cache(maxsize=1024)
def _clock(at: float | None) -> str:
    """Time of day here of a host's Unix time."""
    if at is None:
        return " " * 9
    try:
        return time.strftime("%H:%M:%S ", time.localtime(at))
    except (ValueError, OverflowError, OSError):
        return " " * 9
