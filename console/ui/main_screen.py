"""The one screen: two lines on top, the view in sight, a line of keys; only the view in sight is kept up to date."""

from __future__ import annotations

import time

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen

from console.runs.snapshot import Snapshot
from console.ui.actions import ViewName
from console.ui.header import TabLine, TopLine
from console.ui.host.preflight_state import PreflightState
from console.ui.host.sync_text import VerifyState, sync_text_short
from console.ui.key_line import KeyLine
from console.ui.messages import RunSelected, ViewWanted
from console.ui.pane import Pane
from console.ui.runs.pane import RunsPane
from console.ui.runs.state_text import StageClock
from console.ui.session_protocol import SessionProtocol
from engine.contract.experiment import Experiment
from engine.contract.settings import RunId

TICK = 0.25  # seconds: snapshots are shown, and ages counted on, at 4 Hz


class MainScreen(Screen[None], inherit_bindings=False):
    """Holds the views; those not seen yet are not even made."""

    AUTO_FOCUS = ""  # the view in sight takes the focus itself, after the first paint
    snapshot: reactive[Snapshot | None] = reactive(None, init=False, always_update=True)
    preflight_state: reactive[PreflightState] = reactive(PreflightState(), init=False)
    verify_state: reactive[VerifyState] = reactive(VerifyState(), init=False)
    selected: reactive[RunId | None] = reactive(None, init=False)
    view: reactive[ViewName] = reactive[ViewName]("runs", init=False)

    def __init__(self, experiment: Experiment, title: str, first: Snapshot, *, read_only: bool) -> None:
        super().__init__()
        self._experiment = experiment
        self._title = title
        self._first = first
        self._read_only = read_only
        self._session: SessionProtocol | None = None
        self._clock = StageClock()
        self._in_sight: ViewName = "runs"  # follows ``view`` once that pane is mounted: before, it has no parts to tell
        self._panes: dict[ViewName, Pane] = {"runs": RunsPane(experiment, tuple(first.runs), id="runs")}
        self.pane.clock = self._clock

    def compose(self) -> ComposeResult:
        """The frame, and the view of the runs."""
        yield TopLine(self._title, read_only=self._read_only, id="top-line")
        yield TabLine(id="tab-line")
        yield self._panes["runs"]
        yield KeyLine(read_only=self._read_only, id="key-line")

    def on_mount(self) -> None:
        """Show the runs, none of them launched as far as is known."""
        self.selected = next(iter(self._first.runs), None)
        self.snapshot = self._first
        self.call_after_refresh(self._focus_pane)  # not earlier: a focus styles every widget again
        self.set_interval(TICK, self._tick)

    def _focus_pane(self) -> None:
        self.pane.take_focus()

    @property
    def pane(self) -> Pane:
        """The view in sight."""
        return self._panes[self._in_sight]

    def attach(self, session: SessionProtocol) -> None:
        """The core is there: the views may ask it."""
        self._session = session
        for pane in self._panes.values():
            pane.session = session

    def busy_with(self, work: str) -> None:
        """Say what the console is busy with; nothing if empty."""
        for tabs in self.query(TabLine):
            tabs.work = work

    def _tick(self) -> None:
        for top in self.query(TopLine):  # none any more when the console closes in this very moment
            top.stopped = self.pane.stopped
            top.tick()
        for tabs in self.query(TabLine):
            tabs.tick()
        self.pane.tick()

    def watch_snapshot(self) -> None:
        """Tell the top line and the view in sight."""
        if self.snapshot is not None:
            self._clock.look(self.snapshot.runs.values(), time.time())
        for top in self.query(TopLine):  # none yet before the first paint, none any more when the console closes
            top.snapshot = self.snapshot
        for tabs in self.query(TabLine):
            tabs.sync = sync_text_short(self.snapshot) if self.snapshot is not None else Content("")
        self.pane.snapshot = self.snapshot

    def watch_preflight_state(self) -> None:
        """Tell the view in sight."""
        self.pane.preflight_state = self.preflight_state

    def watch_verify_state(self) -> None:
        """Tell the view in sight."""
        self.pane.verify_state = self.verify_state

    def watch_selected(self) -> None:
        """Tell the view in sight."""
        self.pane.selected = self.selected

    async def watch_view(self, old: ViewName, new: ViewName) -> None:
        """Bring the view in sight up to date and the keys to it."""
        pane = self._panes.get(new)
        if pane is None:
            pane = self._panes[new] = _make(new)
            pane.clock = self._clock
            await self.mount(pane, before="#key-line")
        self._in_sight = new
        self._panes[old].display = False
        pane.display = True
        pane.session = self._session
        pane.selected = self.selected
        pane.preflight_state = self.preflight_state
        pane.verify_state = self.verify_state
        pane.snapshot = self.snapshot
        pane.take_focus()
        self.query_one(TabLine).current = new
        self.query_one(KeyLine).scope = pane.SCOPE

    @on(ViewWanted)
    def _go(self, message: ViewWanted) -> None:
        message.stop()
        self.view = message.view

    @on(RunSelected)
    def _select(self, message: RunSelected) -> None:
        message.stop()
        self.selected = message.run


def _make(view: ViewName) -> Pane:
    """The other views are imported when they are first looked at, which keeps the first paint early."""
    match view:
        case "host":
            from console.ui.host.pane import HostPane

            return HostPane(id="host")
        case "live":
            from console.ui.live.pane import LivePane

            return LivePane(id="live")
        case "results":
            from console.ui.results.pane import ResultsPane

            return ResultsPane(id="results")
        case "items":
            from console.ui.items.pane import ItemsPane

            return ItemsPane(id="items")
        case "runs":
            raise AssertionError("the view of the runs is made with the screen")
