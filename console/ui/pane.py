"""Base of the five views: the state that each is drawn from, and the text widgets they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.reactive import reactive
from textual.widgets import Static

from console.glyphs import BRAILLE, Glyphs
from console.runs.run_view import RunView
from console.runs.snapshot import Snapshot
from console.ui.actions import Scope, bindings
from console.ui.messages import AbortRequested
from console.ui.saved_screen import SavedCharts
from console.ui.session_protocol import SessionProtocol
from console.ui.state import PreflightState, VerifyState, WhenDoneState
from engine.contract.settings import RunId

if TYPE_CHECKING:
    from console.ui.exports import Export

_LATEST_CLOCK = 1e11  # Unix time in seconds; no working clock shows more


class _RunClock:
    """What is known of the times of one launch, in seconds.

    Attributes:
        began: when its stage began, by the clock of its events.
        last_event: the newest event, by the same clock.
        offset: our clock minus that clock, plus the delay of the link; at most.
        offset_known: an event arrived since the launch was first seen, so ``offset`` is no older than the event.
    """

    def __init__(self, key: str, event_time: float, now: float) -> None:
        self.key = key
        self.stage = ""
        self.began = self.last_event = event_time
        self.offset = now - event_time
        self.offset_known = False

    def update(self, stage: str, event_time: float, now: float) -> None:
        self.offset_known |= event_time != self.last_event
        self.last_event = event_time
        self.offset = min(self.offset, now - event_time)
        if stage != self.stage:
            self.stage, self.began = stage, event_time


class StageClock:
    """Measures how long each run has been in its stage without trusting the host's clock.

    The smallest age that any event of a run had on arrival is the offset of the clock of its events plus the delay of the
    link. A stage is therefore never shown older than it is; one that began before the console connected may be shown
    younger. Until the first event of a run arrives, those of the others stand in: their clocks differ from its own only if
    the host's clock was set between their starts.
    """

    def __init__(self) -> None:
        self._runs: dict[RunId, _RunClock] = {}

    def update(self, views: Iterable[RunView], now: float) -> None:
        """Record ``views`` as they arrived at ``now``, by our monotonic clock in seconds."""
        for view in views:
            if view.state_name != "running" or view.state is None:
                self._runs.pop(view.run, None)
                continue
            event_time = view.last_event or view.state.started_at
            if not 0 < event_time < _LATEST_CLOCK:
                continue
            known = self._runs.get(view.run)
            if known is None or known.key != view.state.key or event_time < known.last_event:  # a replay goes back
                known = self._runs[view.run] = _RunClock(view.state.key, event_time, now)
            known.update(view.stage, event_time, now)

    def seconds(self, view: RunView, now: float) -> float | None:
        """Seconds that ``view`` has been in its stage at ``now``; None if unknown, or where the training ETA says more."""
        known = self._runs.get(view.run)
        if known is None or view.state_name != "running":
            return None
        if view.stage == "train" and view.last_step is not None:
            return None
        offset = known.offset if known.offset_known else min(clock.offset for clock in self._runs.values())
        return max(0.0, now - known.began - offset)


class UpdatingText(Static):
    """Text that is replaced often; it is laid out again only when its height changes, and is never read as markup."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._shown = Content("")

    def set_text(self, text: Content) -> None:
        """Show ``text``."""
        if text.is_same(self._shown):
            return
        width = max(1, self.size.width)
        same_height = len(text.wrap(width)) == len(self._shown.wrap(width)) and bool(self._shown)
        self._shown = text
        self.update(text, layout=not same_height)


class ScrollPage(VerticalScroll, inherit_bindings=False):
    """A long text to scroll through, at once: of several keys that arrive together each counts."""

    BINDINGS = bindings("page")

    def scroll_lines(self, by: int) -> None:
        """Scroll ``by`` lines down; it stops at the ends."""
        self.scroll_to(y=self.scroll_offset.y + by, animate=False, immediate=True)

    def action_scroll_up(self) -> None:
        self.scroll_lines(-1)

    def action_scroll_down(self) -> None:
        self.scroll_lines(1)

    def action_page_up(self) -> None:
        self.scroll_lines(-self.scrollable_content_region.height)

    def action_page_down(self) -> None:
        self.scroll_lines(self.scrollable_content_region.height)

    def action_scroll_home(self) -> None:
        self.scroll_to(y=0, animate=False, immediate=True)

    def action_scroll_end(self) -> None:
        self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)


class Pane(ScrollPage):
    """One of the five views. Only the visible one is updated."""

    SCOPE: Scope = "page"

    snapshot: reactive[Snapshot | None] = reactive(None, init=False, repaint=False, always_update=True)
    preflight_state: reactive[PreflightState] = reactive(PreflightState(), init=False, repaint=False)
    verify_state: reactive[VerifyState] = reactive(VerifyState(), init=False, repaint=False)
    when_done_state: reactive[WhenDoneState] = reactive(WhenDoneState(), init=False, repaint=False)
    selected: reactive[RunId | None] = reactive(None, init=False, repaint=False)
    glyphs: reactive[Glyphs] = reactive(BRAILLE, init=False, repaint=False)
    session: SessionProtocol | None = None
    clock: StageClock  # shared by all views
    select_run: Callable[[RunId], None]  # in all views, at once: a key that arrived with this one acts on that run

    @property
    def needs_input(self) -> bool:
        """The link is lost and is not retried until the operator asks for it."""
        return self.session is not None and self.session.stopped.is_set()

    def scope_owners(self) -> tuple[tuple[DOMNode, Scope], ...]:
        """The widgets in which actions of the view work, for the palette, each with its scope."""
        return ((self, self.SCOPE),)

    def focus_content(self) -> None:
        """Focus the widget in which the view's keys work."""
        self.screen.set_focus(self, scroll_visible=False)  # at once, as the next key goes by it

    def tick(self) -> None:
        """Update ages and times; called four times a second while the view is visible."""

    def show_decisions(self) -> None:
        """Show the decisions again, in a view that has them: one was recorded."""

    def saved_charts(self) -> SavedCharts:
        """How the view shows charts, to be kept for the next console."""
        return SavedCharts()

    def restore_charts(self, saved: SavedCharts) -> None:
        """Show charts as they were kept, in a view that has any; called before it is mounted."""

    def row_text(self) -> str:
        """The selected row as one line, for the clipboard: the selected run unless the view has other rows."""
        if self.snapshot is None or self.selected is None:
            return ""
        from console.runs.run_table import run_text

        return run_text(self.snapshot, self.selected)

    def command(self) -> tuple[str, ...]:
        """The command, with its options, that does without the console what the view is for."""
        return ("status",)

    def exports(self) -> tuple[Export, ...]:
        """What the view can write to a file."""
        return ()

    def action_abort(self) -> None:
        if self.selected is not None:
            self.post_message(AbortRequested((self.selected,)))
