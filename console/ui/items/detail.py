"""One item in full over view 5: every candidate under one run, the query's tokens by attention; keys switch run and item."""

from __future__ import annotations

from textual import on, work
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from console.glyphs import Glyphs
from console.results.items.detail import ItemDetail
from console.results.items.items import ItemTable
from console.results.statistics.estimates import Integers
from console.ui.actions import actions_in, bindings
from console.ui.items.item_text import detail_content
from console.ui.messages import ENDED
from console.ui.pane import ScrollPage
from console.ui.session_protocol import SessionProtocol
from engine.contract.settings import RunId


class ItemScreen(ModalScreen[int], inherit_bindings=False):
    """Dialog with one evaluation item in full, as one run ranks it; the result is the place in ``rows`` of the item shown last.

    Args:
        at: place in ``rows`` of the item that is shown first.
        run: shown first if it was evaluated on the item, else the first that was.
    """

    BINDINGS = bindings("item")

    def __init__(
        self, session: SessionProtocol, table: ItemTable, rows: Integers, at: int, run: RunId | None, glyphs: Glyphs
    ) -> None:
        super().__init__()
        self._session = session
        self._table = table
        self._rows = rows
        self._at = at
        self._run = run
        self._glyphs = glyphs
        self._shown: tuple[int, RunId, ItemDetail | str] | None = None

    def compose(self) -> ComposeResult:
        with ScrollPage(id="item-detail") as page:
            page.border_subtitle = "  ".join(f"{one.keys_shown} {one.label}" for one in actions_in("item") if one.label)
            yield Static("", id="item-detail-text", markup=False)

    def on_mount(self) -> None:
        """Focus the text, which scrolls, and read."""
        self.query_one(ScrollPage).focus()
        self._request()

    def on_resize(self) -> None:
        self._show()

    @property
    def _row(self) -> int:
        return int(self._rows[self._at])

    def _request(self) -> None:
        """Read the item under the run."""
        runs = self._table.runs_of(self._row)
        if self._run not in runs:
            self._run = runs[0]
        self.query_one(ScrollPage).border_title = f"Item {self._at + 1:,} of {len(self._rows):,}"
        item = self._table.frame.row(self._row, named=True)
        self._read(self._row, self._run, item["kind"], item["item_id"])

    @work(thread=True, exit_on_error=False, exclusive=True)
    def _read(self, row: int, run: RunId, kind: str, item_id: str) -> tuple[int, RunId, ItemDetail | str]:
        from console.results.load import UnusableCapsule

        try:
            return row, run, self._session.item_detail(run, kind, item_id)
        except UnusableCapsule as error:  # with the item that it is about, as another may be asked for meanwhile
            return row, run, f"It cannot be shown: {error}"

    @on(Worker.StateChanged)
    def _finish_reading(self, event: Worker.StateChanged) -> None:
        event.stop()
        if event.state not in ENDED or not self.app.is_running or self._run is None:
            return
        if event.state is WorkerState.ERROR:
            self._shown = (self._row, self._run, f"It cannot be read: {event.worker.error}")
        elif event.state is WorkerState.SUCCESS and event.worker.result is not None:
            self._shown = event.worker.result
        self._show()

    def _show(self) -> None:
        if self._shown is None or self._shown[:2] != (self._row, self._run):
            return
        row, run, detail = self._shown
        width = max(20, self.query_one(ScrollPage).scrollable_content_region.width)
        content = detail_content(self._table, row, run, detail, width, self._glyphs)
        self.query_one("#item-detail-text", Static).update(content)

    def action_select_run(self, by: int) -> None:
        """The same item under the next run."""
        runs = self._table.runs_of(self._row)
        at = runs.index(self._run) if self._run in runs else 0
        self._run = runs[(at + by) % len(runs)]
        self._request()

    def action_select_item(self, by: int) -> None:
        """The next item of the list under the same run."""
        self._at = max(0, min(self._at + by, len(self._rows) - 1))
        self.query_one(ScrollPage).scroll_home(animate=False)
        self._request()

    def action_close(self) -> None:
        self.dismiss(self._at)
