"""Base of the five views: the state that each is drawn from, and the text widgets they share."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from console.runs.run_view import RunView
from console.runs.snapshot import Snapshot
from console.ui.actions import Scope, bindings
from console.ui.messages import AbortRequested
from console.ui.session_protocol import SessionProtocol
from console.ui.state import PreflightState, VerifyState
from engine.contract.settings import RunId

_LATEST_CLOCK = 1e11  # Unix time in seconds; no working clock shows more


class StageClock:
    """Measures how long each run has been in its stage without trusting the host's clock.

    The smallest age that any event had on arrival is the clock offset plus the delay of the link. A stage is therefore
    never shown older than it is; one that began before the console connected may be shown younger.
    """

    def __init__(self) -> None:
        self._offset: float | None = None  # our clock minus the host's, plus the link's delay, in seconds
        self._started: dict[RunId, tuple[str, str, float]] = {}

    def update(self, views: Iterable[RunView], now: float) -> None:
        """Record ``views`` as they arrived at ``now``, our Unix time in seconds."""
        for view in views:
            if view.state_name != "running" or view.state is None:
                self._started.pop(view.run, None)
                continue
            event_time = view.last_event or view.state.started_at
            if not 0 < event_time < _LATEST_CLOCK:
                continue
            self._offset = min(now - event_time, now - event_time if self._offset is None else self._offset)
            known = self._started.get(view.run)
            if known is None or known[:2] != (view.state.key, view.stage):
                self._started[view.run] = (view.state.key, view.stage, event_time)

    def seconds(self, view: RunView, now: float) -> float | None:
        """Seconds that ``view`` has been in its stage at ``now``; None if unknown, or where the training ETA says more."""
        started = self._started.get(view.run)
        if started is None or self._offset is None or view.state_name != "running":
            return None
        if view.stage == "train" and view.last_step is not None:
            return None
        return max(0.0, now - started[2] - self._offset)


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
    """A long text to scroll through."""

    BINDINGS = bindings("page")


class Pane(ScrollPage):
    """One of the five views. Only the visible one is updated."""

    SCOPE: Scope = "page"

    snapshot: reactive[Snapshot | None] = reactive(None, init=False, always_update=True)
    preflight_state: reactive[PreflightState] = reactive(PreflightState(), init=False)
    verify_state: reactive[VerifyState] = reactive(VerifyState(), init=False)
    selected: reactive[RunId | None] = reactive(None, init=False)
    session: SessionProtocol | None = None
    clock: StageClock  # shared by all views

    @property
    def needs_input(self) -> bool:
        """The link is lost and is not retried until the operator asks for it."""
        return self.session is not None and self.session.stopped.is_set()

    def focus_content(self) -> None:
        """Focus the widget in which the view's keys work."""
        self.focus(scroll_visible=False)

    def tick(self) -> None:
        """Update ages and times; called four times a second while the view is visible."""

    def action_abort(self) -> None:
        if self.selected is not None:
            self.post_message(AbortRequested((self.selected,)))
