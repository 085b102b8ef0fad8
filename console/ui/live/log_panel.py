"""The log of the selected run with its search: reads the log's file in a thread, moves through it by line, error and step."""

from __future__ import annotations

import asyncio

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label

from console.format import counted
from console.runs.log_query import LogQuery
from console.runs.log_search import LogSearch
from console.runs.log_store import LogStore
from console.ui.actions import bindings, key_of
from console.ui.live.log_view import LogView
from console.ui.messages import StepChosen

_READ_AT_ONCE = 1 << 20  # bytes
_SEARCH_AT_ONCE_S = 0.03


class LogSearchInput(Input):
    """Input line of the log's search."""

    BINDINGS = bindings("search")

    class ModeToggled(Message):
        """The operator wants matching lines only, or highlighted."""

    def action_toggle_mode(self) -> None:
        self.post_message(self.ModeToggled())


class LogPanel(Vertical):
    """A log, and under it the search bar while something is searched.

    Attributes:
        view: the widget that shows the lines.
    """

    BINDINGS = bindings("log")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._typed: LogSearch | None = None  # is shown once it is known to be usable
        self._reading = False

        self.view = LogView(id="log-view")
        self._mode = Label(id="log-search-mode", markup=False)
        self._input = LogSearchInput(placeholder='text  !without  "two words"  /regex/', id="search")
        self._result = Label(id="log-search-result", markup=False)
        self._bar = Horizontal(self._mode, self._input, self._result, id="log-search")
        self._bar.display = False

    def compose(self) -> ComposeResult:
        yield self.view
        yield self._bar

    def on_mount(self) -> None:
        self._show_mode()

    @property
    def store(self) -> LogStore:
        """The log that is shown."""
        return self.view.store

    def focus_log(self) -> None:
        """Focus the lines, so that the log's keys work."""
        self.screen.set_focus(self.view, scroll_visible=False)  # at once, as the next key goes by it

    def show(self, log: LogStore) -> None:
        """Show another log from its end; the present search goes on in it."""
        view = self.view
        search = view.search
        view.set_search(None)
        view.show(log)
        if search is not None:
            search.close()
            view.set_search(LogSearch(log, search.query, log.total))
        self._typed = None
        self.poll()

    def poll(self) -> None:
        """Have new lines read and searched, if there are any."""
        if not self._reading and self.is_mounted and self._behind:
            self._reading = True
            self._read_on()
        elif self.view.following:
            self.view.keep_end()

    @property
    def _behind(self) -> bool:
        searches = (self.view.search, self._typed)
        return (
            self.store.behind
            or self.view.is_outdated
            or any(search is not None and search.behind for search in searches)
        )

    @work(group="log")
    async def _read_on(self) -> None:
        """Read and search in short parts, in a thread, until there is nothing new."""
        try:
            while self._behind:
                await asyncio.to_thread(_read_some, self.store, self._typed or self.view.search)
                self._take_typed()
                self.view.sync()
                self._show_result()
        finally:
            self._reading = False

    def status_text(self) -> str:
        """How long the log is and whether it is followed, for a status line."""
        view, store = self.view, self.store
        shown = f"{view.search.count:,} of " if view.search is not None and view.filtering else ""
        errors = f", {counted(store.errors, 'error')}" if store.errors else ""
        return f"log: {shown}{counted(store.total, 'line')}{errors}, {'following' if view.following else 'paused'}"

    def go_to_step(self, step: int) -> None:
        """Select the line that names ``step``, or the step nearest below it."""
        if (line := self.store.line_of_step(step)) is not None:
            self.view.select(line)

    def action_toggle_follow(self) -> None:
        self.view.follow(not self.view.following)

    def action_scroll_up(self) -> None:
        """Select the line above."""
        self.view.move_cursor(-1)

    def action_scroll_down(self) -> None:
        """Select the line below."""
        self.view.move_cursor(1)

    def action_page_up(self) -> None:
        self.view.move_page(-1)

    def action_page_down(self) -> None:
        self.view.move_page(1)

    def action_scroll_home(self) -> None:
        self.view.to_first()

    def action_scroll_end(self) -> None:
        """Go to the end and follow it."""
        self.view.follow(True)

    def action_scroll_left(self) -> None:
        """Show the left of long lines."""
        self.view.scroll_sideways(-1)

    def action_scroll_right(self) -> None:
        """Show the right of long lines."""
        self.view.scroll_sideways(1)

    def action_toggle_fold(self) -> None:
        self.view.set_folding(not self.view.folding)

    def action_choose_step(self) -> None:
        """Tell the charts the step of the selected line."""
        self.post_message(StepChosen(self.store.step_of_line(self.view.current_line)))

    def action_next_error(self, by: int) -> None:
        """Select the next line that begins an error, or the previous one."""
        if (line := self.store.next_error(self.view.current_line, by)) is not None:
            self.view.select(line)
        else:
            self._say("no error " + ("below" if by > 0 else "above"))

    @work(group="log-find", exclusive=True)
    async def action_next_match(self, by: int) -> None:
        """Select the next line that the search accepts, or the previous one."""
        search = self.view.search
        if search is None:
            self._say("nothing is searched")
            return
        line = await asyncio.to_thread(search.find, self.view.current_line, by)
        if search is not self.view.search:
            return
        if line is not None:
            self.view.select(line)
        else:
            self._say("no match " + ("below" if by > 0 else "above"))

    def action_search(self) -> None:
        self._bar.display = True
        self._input.focus(scroll_visible=False)

    @on(LogSearchInput.ModeToggled)
    def action_toggle_filter(self) -> None:
        """Show matching lines only, or highlight them among all."""
        self.view.set_filtering(not self.view.filtering)
        self._show_mode()
        self._show_result()

    def action_clear_search(self) -> None:
        """Show every line again."""
        self._input.value = ""
        self._search("")
        self._bar.display = False
        self.focus_log()

    @on(Input.Changed)
    def _typing(self, event: Input.Changed) -> None:
        event.stop()
        self._search(event.value)

    @on(Input.Submitted)
    def _keep_search(self, event: Input.Submitted) -> None:
        event.stop()
        self._bar.display = bool(event.value)
        self.focus_log()

    def _search(self, text: str) -> None:
        """Search what was typed; until it is known to be usable, the search before it stays."""
        query, view = LogQuery.parse(text), self.view
        if self._typed is not None:
            self._typed.close()
            self._typed = None
        if view.search is not None and query == view.search.query:
            self._show_result()
            return
        if not query:
            if view.search is not None:
                view.search.close()
            view.set_search(None)
        else:
            self._typed = LogSearch(self.store, query, view.current_line)
            if not query.has_regex:
                self._take_typed()
        self._show_result()
        self.poll()

    def _take_typed(self) -> None:
        """Show what the typed query accepts, once it is known to be usable."""
        typed, view = self._typed, self.view
        if typed is None or typed.error or not typed.usable:
            return
        if view.search is not None:
            view.search.close()
        self._typed = None
        view.set_search(typed)

    def _show_mode(self) -> None:
        mode = "filter" if self.view.filtering else "highlight"
        self._mode.update(Content.styled(f" {mode} ", "reverse"))

    def _show_result(self) -> None:
        """What the search has found so far, or why it cannot be used."""
        search = self._typed or self.view.search
        if search is None:
            text = Content("")
        elif search.error:
            text = Content.styled(f" {search.error}", "bold $text-error")
        else:
            searching = "" if not search.behind else f", searched {search.searched:.0%}"
            other = "highlight" if self.view.filtering else "filter"
            text = Content(f" {_matches(search.count)}{searching}, {key_of('toggle_mode')}: {other}")
        self._result.update(text)

    def _say(self, text: str) -> None:
        self.app.show_notice(text)  # type: ignore[attr-defined]


def _read_some(store: LogStore, search: LogSearch | None) -> None:
    store.refresh(_READ_AT_ONCE)
    if search is not None:
        search.advance(_SEARCH_AT_ONCE_S)


def _matches(count: int) -> str:
    return "1 match" if count == 1 else f"{count:,} matches"
