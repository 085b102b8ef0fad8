"""The only screen: two bars, the visible view, the key bar. Only the visible view is updated."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable
from typing import cast

from textual import on
from textual.app import ComposeResult
from textual.events import Key, ScreenResume
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Input

from console.glyphs import BRAILLE, Glyphs
from console.runs.snapshot import Snapshot
from console.ui.actions import ViewName, bindings
from console.ui.bars import KeyBar, StatusBar, TabBar
from console.ui.messages import RunSelected
from console.ui.pane import Pane, StageClock
from console.ui.runs.pane import RunsPane
from console.ui.saved_screen import SavedCharts, SavedScreen
from console.ui.session_protocol import ReplayControls, SessionProtocol
from console.ui.state import PreflightState, VerifyState, WhenDoneState
from console.ui.sync_text import sync_text_short
from engine.contract.experiment import Experiment
from engine.contract.settings import RunId


class MainScreen(Screen[None], inherit_bindings=False):
    """The five views, each made when it is first shown, and the state that they are drawn from."""

    BINDINGS = bindings("replay")
    AUTO_FOCUS = ""  # the visible view takes the focus itself, after the first paint

    snapshot: reactive[Snapshot | None] = reactive(None, init=False, repaint=False, always_update=True)
    preflight_state: reactive[PreflightState] = reactive(PreflightState(), init=False, repaint=False)
    verify_state: reactive[VerifyState] = reactive(VerifyState(), init=False, repaint=False)
    when_done_state: reactive[WhenDoneState] = reactive(WhenDoneState(), init=False, repaint=False)
    selected: reactive[RunId | None] = reactive(None, init=False, repaint=False)
    glyphs: reactive[Glyphs] = reactive(BRAILLE, init=False)
    view: reactive[ViewName] = reactive[ViewName]("runs", init=False)

    def __init__(
        self, experiment: Experiment, profile: str, initial: Snapshot, *, read_only: bool, has_host: bool = True
    ) -> None:
        super().__init__()
        self._profile = profile
        self._title = _title(experiment, profile)
        self._initial = initial
        self._read_only = read_only
        self._has_host = has_host
        self._in_replay = initial.host.link == "replay"
        self._session: SessionProtocol | None = None
        self._clock = StageClock()
        self._has_been_shown = False
        self.shown = asyncio.Event()  # the view that was asked for is there, with the focus
        self.shown.set()
        self._charts = SavedCharts()
        self.when_shown: Callable[[], object] | None = None  # called once the view that was asked for is shown
        self._visible: ViewName = "runs"  # follows ``view`` once that pane is mounted and has its widgets
        self._panes: dict[ViewName, Pane] = {"runs": RunsPane(experiment, profile, tuple(initial.runs), id="runs")}
        self._share(self.pane)

    def _share(self, pane: Pane) -> None:
        """Set the attributes that every view needs: the clock, how a run is selected, and the session."""
        pane.clock, pane.select_run, pane.session = self._clock, self._select, self._session

    def _select(self, run: RunId) -> None:
        self.selected = run

    def compose(self) -> ComposeResult:
        yield StatusBar(self._title, read_only=self._read_only, id="status-bar")
        yield TabBar(id="tab-bar")
        yield self._panes["runs"]
        yield KeyBar(read_only=self._read_only, has_host=self._has_host, in_replay=self._in_replay, id="key-bar")

    def on_mount(self) -> None:
        """Show the runs before anything is known of them."""
        self.selected = next(iter(self._initial.runs), None)
        self.snapshot = self._initial
        self.call_after_refresh(self._focus_pane)  # not earlier: a focus styles every widget again

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Leave out styling every widget again before the first paint: all have just been styled as they were mounted."""
        if not self._has_been_shown:
            event.refresh_styles = False
        self._has_been_shown = True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Allow the keys of a replay in a replay alone, and not where text is typed."""
        if action.startswith("replay_"):
            return self._in_replay and not isinstance(self.focused, Input)
        return super().check_action(action, parameters)

    @property
    def _replay(self) -> ReplayControls | None:
        return cast(ReplayControls, self._session) if self._in_replay and self._session is not None else None

    def action_replay_pause(self) -> None:
        if self._replay is not None:
            self._replay.toggle_pause()

    def action_replay_skip(self, by: int) -> None:
        if self._replay is not None:
            self._replay.skip(by)

    def action_replay_speed(self, by: int) -> None:
        if self._replay is not None:
            self._replay.change_speed(by)

    def _focus_pane(self) -> None:
        self.pane.focus_content()

    def on_key(self, event: Key) -> None:
        """Give a key that was pressed before the view has the focus, right after the first paint, to that view."""
        if self.focused is None:
            self.set_focus(self.pane, scroll_visible=False)
            if self.focused is not None:
                self.app.simulate_key(event.key)

    @property
    def pane(self) -> Pane:
        """The visible view."""
        return self._panes[self._visible]

    def set_session(self, session: SessionProtocol) -> None:
        """Give the views the session, from which they read logs and results."""
        self._session = session
        for pane in self._panes.values():
            pane.session = session
        # in a thread, as importing data frames when view 5 is first shown would block the screen for a third of a second
        self.run_worker(_import_data_frames, thread=True, exit_on_error=False, group="imports")

    async def open_experiment(self, experiment: Experiment, profile: str, initial: Snapshot) -> None:
        """Show another experiment, profile or host from the beginning, in view 2, before anything is known of its runs."""
        old, self._profile, self._initial, self._session = tuple(self._panes.values()), profile, initial, None
        self._clock = StageClock()
        pane = RunsPane(experiment, profile, tuple(initial.runs), id="runs")
        self._share(pane)
        pane.glyphs = self.glyphs
        self._panes, self._visible = {"runs": pane}, "runs"
        self.set_reactive(MainScreen.view, "runs")
        self.shown.set()
        for one in old:
            await one.remove()
        await self.mount(pane, before="#key-bar")
        self.query_one(StatusBar).experiment_title = _title(experiment, profile)
        self.query_one(TabBar).current = "runs"
        self.query_one(KeyBar).scope = pane.SCOPE
        self.selected = next(iter(initial.runs), None)
        self.snapshot = initial
        pane.focus_content()

    async def show_experiment(self, experiment: Experiment) -> None:
        """Make the view of runs again, for an experiment to which runs were added."""
        runs = tuple(self.snapshot.runs if self.snapshot else self._initial.runs)
        await self._panes["runs"].remove()
        pane = self._panes["runs"] = RunsPane(experiment, self._profile, runs, id="runs")
        self._share(pane)
        pane.glyphs = self.glyphs
        pane.display = self._visible == "runs"
        await self.mount(pane, before="#key-bar")
        if pane.display:
            pane.selected, pane.snapshot = self.selected, self.snapshot
            pane.focus_content()

    def saved(self) -> SavedScreen:
        """The screen as it is, to be kept."""
        run = str(self.selected) if self.selected is not None else ""
        pane = self._panes.get("live")
        return SavedScreen(self.view, run, pane.saved_charts() if pane is not None else self._charts)

    def restore(self, saved: SavedScreen) -> None:
        """Show the screen as it was kept, unless the operator has moved already."""
        first = next(iter(self._initial.runs), None)
        if self.view == "runs" and self.selected == first:
            self._charts = saved.charts
            self.selected = next((run for run in self._initial.runs if str(run) == saved.run), first)
            self.view = saved.view

    def show_decisions(self) -> None:
        """Have view 4 show the decisions again."""
        for pane in self._panes.values():
            pane.show_decisions()

    def is_first_time(self, view: ViewName) -> bool:
        """Whether a view was not shown yet."""
        return view not in self._panes

    def show_busy(self, text: str) -> None:
        """Show the commands under way; none if ``text`` is empty."""
        if self.app.is_running:
            self.query_one(TabBar).busy_text = text

    def tick(self) -> None:
        """Update what changes with time."""
        if not self.app.is_running:  # the console is closing and has removed widgets already
            return
        status = self.query_one(StatusBar)
        status.needs_input = self.pane.needs_input
        status.tick()
        self.query_one(TabBar).tick()
        self.pane.tick()

    def watch_snapshot(self) -> None:
        """Update the bars and the visible view."""
        if self.snapshot is None or not self.app.is_running:
            return
        self._clock.update(self.snapshot.runs.values(), time.monotonic())
        self.query_one(StatusBar).snapshot = self.snapshot
        self.query_one(TabBar).sync_text = sync_text_short(self.snapshot)
        self.pane.snapshot = self.snapshot

    def watch_preflight_state(self) -> None:
        self.pane.preflight_state = self.preflight_state

    def watch_verify_state(self) -> None:
        self.pane.verify_state = self.verify_state

    def watch_when_done_state(self) -> None:
        self.pane.when_done_state = self.when_done_state

    def watch_selected(self) -> None:
        self.pane.selected = self.selected

    def watch_glyphs(self) -> None:
        self.pane.glyphs = self.glyphs

    def validate_view(self, view: ViewName) -> ViewName:
        """Note that another view is on its way."""
        if view != self.view:
            self.shown.clear()
        return view

    async def watch_view(self, old: ViewName, new: ViewName) -> None:
        """Show the new view with the present state, and its keys."""
        try:
            await self._show_view(old, new)
        finally:
            if new == self.view:
                self.shown.set()

    async def _show_view(self, old: ViewName, new: ViewName) -> None:
        pane = self._panes.get(new)
        if pane is None:
            pane = self._panes[new] = _make_pane(new)
            pane.restore_charts(self._charts)
            self._share(pane)
            await self.mount(pane, before="#key-bar")
        self._visible = new
        self._panes[old].display = False
        pane.display = True
        pane.session = self._session
        pane.selected = self.selected
        pane.glyphs = self.glyphs
        pane.preflight_state = self.preflight_state
        pane.verify_state = self.verify_state
        pane.when_done_state = self.when_done_state
        pane.snapshot = self.snapshot
        pane.focus_content()
        self.query_one(TabBar).current = new
        self.query_one(KeyBar).scope = pane.SCOPE
        if self.when_shown is not None:
            self.call_after_refresh(self.when_shown)
            self.when_shown = None

    @on(RunSelected)
    def _select_run(self, message: RunSelected) -> None:
        message.stop()
        self.selected = message.run


def _title(experiment: Experiment, profile: str) -> str:
    return f"{experiment.name}, {profile}"


def _import_data_frames() -> None:
    importlib.import_module("console.results.items.filter")


def _make_pane(view: ViewName) -> Pane:
    """Imports a view when it is first shown, which keeps the first paint early."""
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
            raise AssertionError("the runs view is made with the screen")
