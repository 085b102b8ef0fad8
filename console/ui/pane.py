"""What the five views share: what they are drawn from, the selected run, the core beneath."""

from __future__ import annotations

from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from console.runs.snapshot import Snapshot
from console.ui.actions import Scope, bindings
from console.ui.host.preflight_state import PreflightState
from console.ui.host.sync_text import VerifyState
from console.ui.runs.state_text import StageClock
from console.ui.session_protocol import SessionProtocol
from engine.contract.settings import RunId


class UpdatingText(Static):
    """Content, never markup."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._words = Content("")

    def say(self, words: Content) -> None:
        """Show ``words``."""
        if words.is_same(self._words):
            return
        width = max(1, self.size.width)
        same_height = len(words.wrap(width)) == len(self._words.wrap(width)) and bool(self._words)
        self._words = words
        self.update(words, layout=not same_height)


class Reading(VerticalScroll, inherit_bindings=False):
    """A long text to scroll through."""

    BINDINGS = bindings("reading")


class Pane(Reading):
    """One of the five views. Its ``snapshot`` is set only while it is the one in sight."""

    SCOPE: Scope = "reading"

    snapshot: reactive[Snapshot | None] = reactive(None, init=False, always_update=True)
    preflight_state: reactive[PreflightState] = reactive(PreflightState(), init=False)
    verify_state: reactive[VerifyState] = reactive(VerifyState(), init=False)
    selected: reactive[RunId | None] = reactive(None, init=False)
    session: SessionProtocol | None = None
    clock: StageClock  # the screen's

    @property
    def stopped(self) -> bool:
        """The link is lost and not tried again until the operator says so."""
        return self.session is not None and self.session.stopped.is_set()

    def take_focus(self) -> None:
        """Put the focus where the view's keys work."""
        self.focus(scroll_visible=False)

    def tick(self) -> None:
        """A quarter of a second went by while the view is in sight."""
