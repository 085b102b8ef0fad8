"""View 5: explorer of the evaluation items: filters, facets, what one condition fixed or broke, any order; one in full."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.widgets import Input, Static

from console.format import counted
from console.results.items.filter import ANY_RUN, DIFFERENCE, ItemFilter, select, sort_rows
from console.results.items.items import Change, ItemTable, plain_items
from console.results.statistics.estimates import Integers
from console.ui.actions import Scope, bindings
from console.ui.exports import Export, table_exports
from console.ui.items.columns import SortColumn
from console.ui.items.detail import ItemScreen
from console.ui.items.filter_dialog import FilterDialog
from console.ui.items.item_list import ItemList
from console.ui.items.item_text import preview
from console.ui.items.summary import CHANGES, changes_content, facets_content, filter_facets, total_content
from console.ui.results.pane import LocalCopyPane
from console.ui.session_protocol import SessionProtocol

_PLACEHOLDER = "words in query, lemma or reason, !word leaves out; Enter keeps it, Esc removes all"
T = TypeVar("T")
_DESCENDING = ("failed", DIFFERENCE)  # columns whose greatest values are wanted first


class ItemSearch(Input):
    """Input line of the text filter."""

    BINDINGS = bindings("item_search")


class ItemsPane(LocalCopyPane, inherit_bindings=False):
    """View 5: the evaluation items as a table, above it how they are filtered, below it the selected one in short."""

    SCOPE = "items"
    SUBJECT = "items"
    MESSAGE = "#items-summary"
    BINDINGS = bindings("items")

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, can_focus=False)
        self._table: ItemTable | None = None
        self._filter = ItemFilter()
        self._pair = 0
        self._order: tuple[SortColumn, bool] = ("failed", True)

    def compose(self) -> ComposeResult:
        yield Static("", id="items-summary", markup=False)
        yield Static("", id="items-changes", markup=False)
        yield Static("", id="items-facets", markup=False)
        yield ItemList(id="items-table")
        with VerticalScroll(id="item", can_focus=False):
            yield Static("", id="item-text", markup=False)
        yield ItemSearch(placeholder=_PLACEHOLDER, id="item-search")

    @property
    def item_list(self) -> ItemList:
        """The table of items."""
        return self.query_one(ItemList)

    def watch_glyphs(self) -> None:
        """Draw outcomes with the new signs."""
        self._fill()

    def scope_owners(self) -> tuple[tuple[DOMNode, Scope], ...]:
        """The view itself and its table."""
        return ((self, "items"), (self.item_list, "table"))

    def focus_content(self) -> None:
        """Focus the table: it has the keys that move."""
        self.screen.set_focus(self.item_list, scroll_visible=False)

    def read(self, session: SessionProtocol) -> ItemTable:
        """The items as they are now."""
        return session.items()

    def show(self, value: ItemTable) -> None:
        """Show other items, filtered and ordered as before; the cursor stays with its item."""
        key = self._selected_key()
        self._table = value
        if not set(self._conditions_named()) <= set(value.conditions):
            self._filter = replace(self._filter, wrong_in="", change=None, ours="", theirs="")
        if isinstance(self._order[0], int) and self._order[0] >= len(value.conditions):
            self._order = ("failed", True)
        self._pair = min(self._pair, max(0, len(value.pairs) - 1))
        rows = dict(
            zip(value.frame.select("evaluation", "kind", "item_id").iter_rows(), range(len(value.frame)), strict=True)
        )
        self._fill(rows.get(key) if key else None)

    def _conditions_named(self) -> list[str]:
        named = (self._filter.wrong_in, self._filter.ours, self._filter.theirs)
        return [name for name in named if name and name != ANY_RUN]

    def _selected_key(self) -> tuple[str, str, str] | None:
        row = self.item_list.row
        if self._table is None or row is None:
            return None
        key: tuple[str, str, str] = self._table.frame.select("evaluation", "kind", "item_id").row(row)
        return key

    @property
    def _compared(self) -> tuple[str, str] | None:
        """The pair of conditions that fixed and broken are about."""
        return self._table.pairs[self._pair] if self._table is not None and self._table.pairs else None

    def _fill(self, selected: int | None = None) -> None:
        """Filter and order again; the cursor stays with its item, or with the one in row ``selected``."""
        table = self._table
        if table is None:
            return
        selected = self.item_list.row if selected is None else selected
        column, descending = self._order
        pair = self._compared if self._filter.change else None
        rows = sort_rows(table, select(table, self._filter), column, descending=descending, pair=pair)
        self.item_list.glyphs = self.glyphs
        self.item_list.show(table, rows, column, descending, pair, selected)
        self._show_summary(rows)

    def _show_summary(self, rows: Integers) -> None:
        table = self._table
        if table is None or table.frame.is_empty():
            self.show_message("No items yet: they appear when evaluated runs are synced (view 2).")
            self.query_one("#items-changes", Static).update("")
            self.query_one("#items-facets", Static).update("")
            return
        width = self.size.width - 2
        self.query_one(self.MESSAGE, Static).update(total_content(table, self._filter, len(rows), self.glyphs, width))
        self.query_one("#items-changes", Static).update(changes_content(table, self._filter, self._compared))
        self.query_one("#items-facets", Static).update(facets_content(self._filter, width))

    @on(ItemList.CursorMoved)
    def _show_item(self) -> None:
        table, row = self._table, self.item_list.row
        content = Content("")
        if table is not None and row is not None:
            content = preview(table, row, self.glyphs, self.size.width - 2)
        self.query_one("#item-text", Static).update(content)

    def on_resize(self) -> None:
        self._fill()

    def _set(self, **changes: object) -> None:
        self._filter = replace(self._filter, **changes)
        self._fill()

    def row_text(self) -> str:
        """The selected item with its query, the right answer and what was chosen."""
        row = self.item_list.row
        if self._table is None or row is None:
            return ""
        item = self._table.frame.row(row, named=True)
        return f"{item['lemma']}  {item['query']}  right: {item['answer']}  chosen: {item['chosen'] or '-'}"

    def command(self) -> tuple[str, ...]:
        """The items that are shown, as far as the command has their filters."""
        which = self._filter
        chosen = [("--kind", which.kind), ("--tier", which.tier), ("--reason", which.reason)]
        if which.change:
            chosen += [(f"--{which.change}-by", which.ours), ("--over", which.theirs), ("--by", which.basis)]
        return ("items", *(word for option, value in chosen if value for word in (option, value)))

    def exports(self) -> tuple[Export, ...]:
        """The items that are shown, in their order."""
        table, rows = self._table, self.item_list.rows
        if table is None or not len(rows):
            return ()
        return table_exports(counted(len(rows), "item"), "items", lambda: plain_items(table, rows))

    def action_filters(self) -> None:
        """Choose the value of each facet in a dialog; the table follows at once."""
        if self._table is None or self._table.frame.is_empty():
            return
        facets = filter_facets(self._table)
        chosen = {facet.field: getattr(self._filter, facet.field) for facet in facets}
        self.app.push_screen(FilterDialog(facets, chosen, lambda field, value: self._set(**{field: value})))

    def action_cycle_change(self) -> None:
        """Items that the pair's first condition fixed, then those that it broke, then all."""
        if (pair := self._compared) is not None:
            change = _next((None, *CHANGES), self._filter.change)
            self._choose_change(change, pair)

    def action_select_pair(self, by: int) -> None:
        """Switch the pair of conditions of which fixed and broken items are shown."""
        if self._table is not None and self._table.pairs:
            self._pair = (self._pair + by) % len(self._table.pairs)
            if self._filter.change:
                self._choose_change(self._filter.change, self._table.pairs[self._pair])
            else:
                self._fill()

    def _choose_change(self, change: Change | None, pair: tuple[str, str]) -> None:
        if not change and self._order[0] == DIFFERENCE:
            self._order = ("failed", True)
        elif change:  # the greatest changes first
            self._order = (DIFFERENCE, change == "fixed")
        self._set(change=change, ours=pair[0], theirs=pair[1])

    def action_cycle_order(self) -> None:
        """Order by the next column."""
        keys = [column.key for column in self.item_list.columns]
        if keys:
            self._order_by(_next(keys, self._order[0]))

    def action_reverse_order(self) -> None:
        self._order = (self._order[0], not self._order[1])
        self._fill()

    def _order_by(self, column: SortColumn) -> None:
        self._order = (column, column in _DESCENDING)
        self._fill()

    @on(ItemList.HeaderClicked)
    def _order_by_header(self, event: ItemList.HeaderClicked) -> None:
        if event.column == self._order[0]:
            self.action_reverse_order()
        else:
            self._order_by(event.column)

    def action_scroll_conditions(self, by: int) -> None:
        self.item_list.scroll_conditions(by)

    def action_search(self) -> None:
        search = self.query_one(ItemSearch)
        search.display = True
        # at once, or the first letters typed would act as keys of the view
        self.screen.set_focus(search, scroll_visible=False)

    @on(Input.Changed)
    def _filter_by_text(self, event: Input.Changed) -> None:
        event.stop()
        self._set(text=event.value)

    @on(Input.Submitted)
    def _keep_text(self, event: Input.Submitted) -> None:
        event.stop()
        event.input.display = bool(event.value)
        self.focus_content()

    def action_clear_filters(self) -> None:
        """Show every item again."""
        search = self.query_one(ItemSearch)
        search.value = ""
        search.display = False
        self._filter = ItemFilter(basis=self._filter.basis)
        if self._order[0] == DIFFERENCE:
            self._order = ("failed", True)
        self._fill()
        self.focus_content()

    @on(ItemList.Opened)
    def action_open_item(self) -> None:
        """Show the selected item in full."""
        if self._table is not None and self.item_list.row is not None and self.session is not None:
            rows = self.item_list.rows
            screen = ItemScreen(self.session, self._table, rows, self.item_list.cursor, self.selected, self.glyphs)
            self.app.push_screen(screen, self._close_item)

    def _close_item(self, at: int | None) -> None:
        """The cursor follows what was looked at last."""
        if at is not None:
            self.item_list.move_cursor(at)


def _next(values: list[T] | tuple[T, ...], value: T) -> T:
    return values[(values.index(value) + 1) % len(values)] if value in values else values[0]
