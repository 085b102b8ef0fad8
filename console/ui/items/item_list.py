"""Table of items: only the visible rows are built, so that its cost does not grow with items or conditions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.glyphs import BRAILLE
from console.results.items.filter import DIFFERENCE
from console.results.items.items import ItemTable
from console.results.statistics.estimates import Integers
from console.ui.actions import bindings
from console.ui.items.columns import Column, SortColumn, columns
from console.ui.items.item_text import outcome_mark, signed

_NOTHING = "No item passes the filters; Esc removes them."


class ItemList(ScrollView, inherit_bindings=False):
    """Table of evaluation items under a header, one of them selected."""

    BINDINGS = bindings("table")
    COMPONENT_CLASSES = {  # noqa: RUF012 (Textual's way)
        "items--header",
        "items--cursor",
        "items--right",
        "items--most",
        "items--few",
        "items--wrong",
        "items--muted",
    }
    can_focus = True

    @dataclass
    class CursorMoved(Message):
        """Posted when another item is selected, or none is left in the table."""

    @dataclass
    class Opened(Message):
        """Posted when an item is double-clicked, which shows it in full."""

    @dataclass
    class HeaderClicked(Message):
        """Posted when the title of a column is clicked, which orders by it."""

        column: SortColumn

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.glyphs = BRAILLE
        self.cursor = 0
        self._table: ItemTable | None = None
        self._texts: dict[str, list[str]] = {}
        self._rows: Integers = np.zeros(0, np.intp)
        self._pair: tuple[str, str] | None = None
        self._sorted: tuple[SortColumn, bool] = ("failed", True)
        self._first = 0
        self._colours: dict[str, Style] = {}

    @property
    def row(self) -> int | None:
        """The row of the table that is selected; None without any."""
        return int(self._rows[self.cursor]) if self.cursor < len(self._rows) else None

    @property
    def rows(self) -> Integers:
        """The rows of the table that are shown, in order."""
        return self._rows

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns shown."""
        if self._table is None:
            return ()
        return columns(self._table.conditions, self._width, self._pair, self._first, self.glyphs)

    @property
    def _width(self) -> int:
        """Width of the table in terminal columns, without its scrollbar."""
        return int(self.scrollable_content_region.width)

    def show(
        self,
        table: ItemTable,
        rows: Integers,
        column: SortColumn,
        descending: bool,
        pair: tuple[str, str] | None,
        selected: int | None,
    ) -> None:
        """Show ``rows`` of ``table``, ordered by ``column``; the cursor goes to the row ``selected``, or to the first."""
        if table is not self._table:
            texts = ("lemma", "tier", "kind", "query", "chosen", "reason", "pos", "item_class")
            self._texts = {name: table.frame[name].to_list() for name in texts}
        self._table, self._rows, self._pair, self._sorted = table, rows, pair, (column, descending)
        found = np.flatnonzero(rows == selected) if selected is not None else rows[:0]
        self.cursor = int(found[0]) if len(found) else 0
        self.virtual_size = Size(self._width, len(rows) + 1)  # the header is a line too
        self._show_cursor()
        self.refresh()
        self.post_message(self.CursorMoved())

    def scroll_conditions(self, by: int) -> None:
        """Show conditions further to the right, or to the left."""
        if self._table is not None:
            others = len(self._table.conditions) - (2 if self._pair else 0)
            self._first = max(0, min(self._first + by, others - 1))
            self.refresh()

    def on_resize(self) -> None:
        """Keep the cursor visible."""
        self.virtual_size = Size(self._width, len(self._rows) + 1)
        self._show_cursor()

    def move_cursor(self, to: int) -> None:
        """Select the row at place ``to``, or the nearest that there is."""
        to = max(0, min(to, len(self._rows) - 1))
        if to != self.cursor:
            self.cursor = to
            self._show_cursor()
            self.refresh()
            self.post_message(self.CursorMoved())

    def _show_cursor(self) -> None:
        height = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        to = min(max(top, self.cursor - height + 1), self.cursor)
        if to != top:
            self.scroll_to(y=to, animate=False, immediate=True)

    def action_cursor_up(self) -> None:
        self.move_cursor(self.cursor - 1)

    def action_cursor_down(self) -> None:
        self.move_cursor(self.cursor + 1)

    def action_page_up(self) -> None:
        self.move_cursor(self.cursor - max(1, self.size.height - 2))

    def action_page_down(self) -> None:
        self.move_cursor(self.cursor + max(1, self.size.height - 2))

    def action_scroll_top(self) -> None:
        self.move_cursor(0)

    def action_scroll_bottom(self) -> None:
        self.move_cursor(len(self._rows) - 1)

    def on_click(self, event: events.Click) -> None:
        """Select the row under the pointer, or order by the column of the header; twice opens the item."""
        if event.y == 0:
            end = 2
            for column in self.columns:
                end += column.width + 1
                if event.x < end:
                    self.post_message(self.HeaderClicked(column.key))
                    return
        elif (at := self.scroll_offset.y + event.y - 1) < len(self._rows):
            self.move_cursor(at)
            if event.chain == 2:
                self.post_message(self.Opened())

    def render_line(self, y: int) -> Strip:
        """The header, or the row at line ``y`` of the window."""
        width, base = self._width, self.rich_style
        if self._table is None:
            return Strip.blank(width, base)
        if y == 0:
            return self._header(base).adjust_cell_length(width, base)
        at = self.scroll_offset.y + y - 1
        if at >= len(self._rows):
            text = _NOTHING if y == 1 and len(self._rows) == 0 and len(self._table.frame) else ""
            return Strip([Segment(text, base + Style(italic=True))]).adjust_cell_length(width, base)
        style = self.get_component_rich_style("items--cursor") if at == self.cursor else base
        segments = [Segment(f"{self.glyphs.cursor if at == self.cursor else ' '} ", style)]
        row = int(self._rows[at])
        for column in self.columns:
            segments += [self._cell(column, row, style, at == self.cursor), Segment(" ", style)]
        return Strip(segments).adjust_cell_length(width, style)

    def _header(self, base: Style) -> Strip:
        style = base + self.get_component_rich_style("items--header")
        key, descending = self._sorted
        segments = [Segment("  ", style)]
        for column in self.columns:
            title = column.title
            if column.key == key:
                sign = self.glyphs.down if descending else self.glyphs.up
                title = f"{set_cell_size(title, min(cell_len(title), column.width - 1))}{sign}"
            title = set_cell_size(title, min(cell_len(title), column.width))
            pad = " " * (column.width - cell_len(title))
            parts = (pad, title) if column.is_number else (title, pad)
            segments += [Segment(part, style + Style(underline=column.key == key and part is title)) for part in parts]
            segments.append(Segment(" ", style))
        return Strip(segments)

    def _cell(self, column: Column, row: int, style: Style, selected: bool) -> Segment:
        table, key = self._table, column.key
        if table is None:
            return Segment("", style)
        if isinstance(key, int):
            mark, name = outcome_mark(int(table.right[row, key]), int(table.seeds[row, key]), self.glyphs)
            return Segment(mark.ljust(column.width), style if selected else style + self._colour(name))
        if key == "failed":
            text = f"{table.frame['failed'][row]}/{table.frame['runs'][row]}"
        elif key == "margin":
            text = f"{table.frame['margin'][row]:.3f}"
        elif key == DIFFERENCE and self._pair:
            ours, theirs = (float(table.margins[row, table.condition(name)]) for name in self._pair)
            text = signed(ours - theirs)
        else:
            text = self._texts[str(key)][row] or (self._texts["kind"][row] if key == "tier" else "")
        if column.is_number:
            return Segment(text.rjust(column.width), style)
        if cell_len(text) > column.width:
            text = set_cell_size(text, column.width - 1) + self.glyphs.cut
        return Segment(set_cell_size(text, column.width), style)

    def _colour(self, name: str) -> Style:
        """The style of an outcome; kept, as looking it up takes most of the time to draw a row."""
        if name not in self._colours:
            known = name != "missing"
            self._colours[name] = self.get_component_rich_style(f"items--{name}", partial=True) if known else Style()
        return self._colours[name]

    def notify_style_update(self) -> None:
        """Forget the colours of another theme."""
        self._colours.clear()
        super().notify_style_update()

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """Width that the table asks for: all that its container has."""
        return container.width
