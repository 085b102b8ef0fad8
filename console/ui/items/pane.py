"""View 5: the evaluation items that runs got wrong; the selected one in full below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static
from textual.worker import Worker, WorkerState

from console.format import number
from console.results.summary import FailedItem
from console.ui.actions import bindings
from console.ui.messages import ItemsRead
from console.ui.pane import Pane
from console.ui.results.pane import results_key
from console.ui.session_protocol import SessionProtocol

_ORDERS: tuple[tuple[str, Callable[[FailedItem], Any]], ...] = (
    ("most failures first", lambda item: (-item.failed / max(1, item.runs), item.margin)),
    ("worst margin first", lambda item: item.margin),
    ("by lemma", lambda item: (item.lemma, item.item_id)),
    ("hardest tier first", lambda item: (item.tier, item.margin)),
)


class ItemTable(DataTable[Text], inherit_bindings=False):
    """The items, a row each."""

    BINDINGS = bindings("table")


class ItemsPane(Pane, inherit_bindings=False):
    """A table and the selected item's texts."""

    SCOPE = "items"
    BINDINGS = bindings("items")

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, can_focus=False)
        self._read: object = None
        self._busy = False
        self._items: tuple[FailedItem, ...] = ()
        self._shown: list[FailedItem] = []
        self._order = 0

    def compose(self) -> ComposeResult:
        """What it is, the table, the details."""
        yield Static("", id="items-words", markup=False)
        yield ItemTable(id="items-table", cursor_type="row", zebra_stripes=False)
        with VerticalScroll(id="item", can_focus=False):
            yield Static("", id="item-words", markup=False)

    def on_mount(self) -> None:
        """The columns."""
        self._table.add_columns("lemma", "tier", "failed", "margin", "reason")

    @property
    def _table(self) -> ItemTable:
        return self.query_one(ItemTable)

    def take_focus(self) -> None:
        """The table has the keys that move."""
        self._table.focus(scroll_visible=False)

    def watch_snapshot(self) -> None:
        """Read the items if they may have changed."""
        if self.snapshot is None:
            return
        key = results_key(self.snapshot)
        if self.session is not None and key != self._read and not self._busy:
            self._busy = True
            if self._read is None:
                self._tell("Reading the items ...")
            self._load(self.session, key)

    @work(thread=True, exit_on_error=False)
    def _load(self, session: SessionProtocol, key: object) -> None:
        self.post_message(ItemsRead(key, tuple(session.failed_items())))

    @on(ItemsRead)
    def _show(self, message: ItemsRead) -> None:
        message.stop()
        self._read = message.key
        if message.items != self._items:
            self._items = message.items
            self._fill()
        self._say_what()

    @on(Worker.StateChanged)
    def _ended(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            self._tell(f"The items could not be read: {event.worker.error}")
        if event.worker.is_finished:
            self._busy = False
        if event.state is WorkerState.SUCCESS:
            self.watch_snapshot()  # what came meanwhile

    def _fill(self) -> None:
        """The table anew in the present order; the cursor stays with its item."""
        table = self._table
        here = self._current()
        self._shown = sorted(self._items, key=_ORDERS[self._order][1])
        table.clear()
        table.add_rows(_row(item) for item in self._shown)
        if here is not None:
            kept = next((place for place, item in enumerate(self._shown) if _identity(item) == _identity(here)), 0)
            table.move_cursor(row=kept, animate=False)
        self._show_item()

    def _current(self) -> FailedItem | None:
        at = self._table.cursor_row
        return self._shown[at] if 0 <= at < len(self._shown) else None

    def _say_what(self) -> None:
        if self._items:
            words = f"{len(self._items):,} items that at least one run got wrong, {_ORDERS[self._order][0]}"
        else:
            words = "No failed items yet: they appear here when evaluated runs have come home (view 2 shows how far)."
        self._tell(words)

    def _tell(self, words: str) -> None:
        self.query_one("#items-words", Static).update(Content(words))

    @on(DataTable.RowHighlighted)
    def _show_item(self) -> None:
        item = self._current()
        self.query_one("#item-words", Static).update(_item_text(item) if item else Content(""))

    def action_cycle_order(self) -> None:
        """The next order."""
        self._order = (self._order + 1) % len(_ORDERS)
        self._fill()
        self._say_what()


def _identity(item: FailedItem) -> tuple[str, str, str]:
    return item.kind, item.evaluation, item.item_id


def _row(item: FailedItem) -> tuple[Text, ...]:
    """Its cells; never markup."""
    cells = (
        item.lemma,
        item.tier or item.kind,
        f"{item.failed}/{item.runs}",
        number(item.margin),
        item.reason,
    )
    return tuple(Text(cell, no_wrap=True) for cell in cells)


def _item_text(item: FailedItem) -> Content:
    """The item in full."""
    return Content("\n").join(
        [
            Content.assemble((f"{'Query':<13}", "$text-muted"), item.query),
            Content.assemble((f"{'Right answer':<13}", "$text-success"), item.answer),
            Content.assemble((f"{'Chosen':<13}", "$text-error"), item.chosen or "-"),
            Content.assemble(
                (f"{'Item':<13}", "$text-muted"),
                f"{item.kind} {item.item_id}: wrong in {item.failed} of {item.runs} runs, mean margin {number(item.margin)}",
                f", {item.reason}" if item.reason else "",
            ),
        ]
    )
