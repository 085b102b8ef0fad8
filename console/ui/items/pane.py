"""View 5: table of the evaluation items that runs got wrong, the selected one in full below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from console.format import number
from console.results.records import FailedItem
from console.ui.actions import bindings
from console.ui.results.pane import LocalCopyPane
from console.ui.session_protocol import SessionProtocol

# Tiers are numbered by difficulty; coherence items have none and come last.
_ORDERS: tuple[tuple[str, Callable[[FailedItem], Any]], ...] = (
    ("most failures first", lambda item: (-item.failed / max(1, item.runs), item.margin)),
    ("worst margin first", lambda item: item.margin),
    ("by lemma", lambda item: (item.lemma, item.item_id)),
    ("hardest tier first", lambda item: ([-ord(char) for char in item.tier] or [0], item.margin)),
)


class ItemTable(DataTable[Text], inherit_bindings=False):
    """Table with a row per failed item."""

    BINDINGS = bindings("table")


class ItemsPane(LocalCopyPane, inherit_bindings=False):
    """Table of failed items, and below it the texts of the selected one."""

    SCOPE = "items"
    SUBJECT = "failed items"
    MESSAGE = "#items-summary"
    BINDINGS = bindings("items")

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, can_focus=False)
        self._items: tuple[FailedItem, ...] = ()
        self._sorted: list[FailedItem] = []
        self._order = 0

    def compose(self) -> ComposeResult:
        yield Static("", id="items-summary", markup=False)
        yield ItemTable(id="items-table", cursor_type="row", zebra_stripes=False)
        with VerticalScroll(id="item", can_focus=False):
            yield Static("", id="item-text", markup=False)

    def on_mount(self) -> None:
        """Give the table of items its columns."""
        self._table.add_columns("lemma", "tier", "failed", "margin", "reason")

    @property
    def _table(self) -> ItemTable:
        return self.query_one(ItemTable)

    def focus_content(self) -> None:
        """Focus the table: it has the keys that move."""
        self._table.focus(scroll_visible=False)

    def read(self, session: SessionProtocol) -> tuple[FailedItem, ...]:
        """The failed items as they are now."""
        return tuple(session.failed_items())

    def show(self, value: tuple[FailedItem, ...]) -> None:
        """Fill the table if the items changed."""
        if value != self._items:
            self._items = value
            self._fill_table()
        self._show_summary()

    def _fill_table(self) -> None:
        """Fill the table in the chosen order; the cursor stays with its item."""
        table, selected = self._table, self._selected_item
        self._sorted = sorted(self._items, key=_ORDERS[self._order][1])
        table.clear()
        table.add_rows(_row(item) for item in self._sorted)
        if selected is not None:
            rows = (row for row, item in enumerate(self._sorted) if _identity(item) == _identity(selected))
            table.move_cursor(row=next(rows, 0), animate=False)
        self._show_item()

    @property
    def _selected_item(self) -> FailedItem | None:
        row = self._table.cursor_row
        return self._sorted[row] if 0 <= row < len(self._sorted) else None

    def _show_summary(self) -> None:
        if not self._items:
            self.show_message("No failed items yet: they appear when evaluated runs are synced (view 2).")
            return
        text = f"{len(self._items):,} items that at least one run got wrong, {_ORDERS[self._order][0]}"
        self.query_one(self.MESSAGE, Static).update(Content(text))

    @on(DataTable.RowHighlighted)
    def _show_item(self) -> None:
        item = self._selected_item
        self.query_one("#item-text", Static).update(_item_text(item) if item else Content(""))

    def action_cycle_order(self) -> None:
        self._order = (self._order + 1) % len(_ORDERS)
        self._fill_table()
        self._show_summary()


def _identity(item: FailedItem) -> tuple[str, str, str]:
    return item.kind, item.evaluation, item.item_id


def _row(item: FailedItem) -> tuple[Text, ...]:
    cells = (item.lemma, item.tier or item.kind, f"{item.failed}/{item.runs}", number(item.margin), item.reason)
    return tuple(Text(cell, no_wrap=True) for cell in cells)


def _item_text(item: FailedItem) -> Content:
    """The texts of an item and its counts, one a line."""
    outcome = f"wrong in {item.failed} of {item.runs} runs, mean margin {number(item.margin)}"
    lines = (
        ("Query", "$text-muted", item.query),
        ("Right answer", "$text-success", item.answer),
        ("Chosen", "$text-error", item.chosen or "-"),
        ("Outcome", "$text-muted", ", ".join(filter(None, (outcome, item.reason)))),
        ("Item", "$text-muted", f"{item.kind} {item.item_id}"),
    )
    return Content("\n").join(Content.assemble((f"{label:<13}", style), text) for label, style, text in lines)
