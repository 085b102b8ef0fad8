"""What the five views share: what they are drawn from, the selected run, the core beneath."""

from __future__ import annotations

from textual.containers import VerticalScroll
from textual.reactive import reactive

from console.snapshot import Snapshot
from console.ui.actions import Scope, bindings
from console.ui.core import Core
from console.ui.examination import Examination
from console.ui.stage_clock import StageClock
from console.ui.verification import Verification
from engine.contract.experiment import RunId


class Reading(VerticalScroll, inherit_bindings=False):
    """A long text to scroll through."""

    BINDINGS = bindings("reading")


class Pane(Reading):
    """One of the five views. Its ``snapshot`` is set only while it is the one in sight."""

    SCOPE: Scope = "reading"

    snapshot: reactive[Snapshot | None] = reactive(None, init=False, always_update=True)
    examination: reactive[Examination] = reactive(Examination(), init=False)
    verification: reactive[Verification] = reactive(Verification(), init=False)
    selected: reactive[RunId | None] = reactive(None, init=False)
    core: Core | None = None
    clock: StageClock  # the screen's

    @property
    def stopped(self) -> bool:
        """The link is lost and not tried again until the operator says so."""
        return self.core is not None and self.core.stopped.is_set()

    def take_focus(self) -> None:
        """Put the focus where the view's keys work."""
        self.focus(scroll_visible=False)

    def tick(self) -> None:
        """A quarter of a second went by while the view is in sight."""
