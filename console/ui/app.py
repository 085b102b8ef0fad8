"""The console app: opens the session after the first paint, shows its snapshots, switches views, quits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import SystemCommand
from textual.dom import DOMNode
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from console.format import counted, full_disk
from console.glyphs import next_glyphs
from console.runs.run_view import RunView
from console.runs.snapshot import HostView, Link, Snapshot, SyncState, sync_status
from console.ui.action import key_label
from console.ui.actions import Scope, ViewName, actions_in, bindings, key_of
from console.ui.host.preflight import PreflightCommands
from console.ui.host.sync import SyncCommands
from console.ui.launch.commands import LaunchCommands
from console.ui.main_screen import TICK_SECONDS, MainScreen
from console.ui.prompts import PromptQueue
from console.ui.results.commands import ResultCommands
from console.ui.session_protocol import SessionProtocol
from console.ui.state import PreflightState, VerifyState
from engine.contract.experiment import Experiment, folder_name
from engine.contract.settings import RunId, run_ids

if TYPE_CHECKING:
    from console.hosts.ssh.prompts import Prompter

_CLOSING_SECONDS = 5.0


class ConsoleApp(LaunchCommands, PreflightCommands, SyncCommands, ResultCommands, PromptQueue, inherit_bindings=False):
    """The application.

    Args:
        make_session: makes the session, which asks the operator through the prompter; called in a thread after the
            first paint, so it may import much.
        experiment, profile: what is run.
        host_title: the host's name for people, shown until the session knows more.
        read_only: launch, abort and repair are off.
        has_host: the session has a host; without one, whatever would ask it is off, too.
    """

    TITLE = "qllm-console"
    CSS_PATH = "console.tcss"
    BINDINGS = bindings("app")
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(
        self,
        make_session: Callable[[Prompter], SessionProtocol],
        experiment: Experiment,
        profile: str,
        host_title: str,
        read_only: bool,
        *,
        has_host: bool = True,
    ) -> None:
        super().__init__()
        self.animation_level = "none"  # an animation is a burst of redraws over a slow link
        self.read_only = read_only
        self.has_host = has_host
        self._make_session = make_session
        self._needs_input = False
        self._disk_full = False
        self._follower: Worker[None] | None = None
        runs = run_ids(experiment, profile)
        link: Link = "starting" if has_host else "local"
        initial = Snapshot(
            host=HostView(name=host_title, title=host_title, launcher="", address="", detail="Starting.", link=link),
            folder=folder_name(experiment, profile),
            profile=profile,
            runs={run: RunView(run) for run in runs},
            sync_states={run: SyncState() for run in runs},
        )
        self.main = MainScreen(experiment, profile, initial, read_only=read_only, has_host=has_host)

    def get_default_screen(self) -> Screen[None]:
        """The only screen."""
        return self.main

    def on_mount(self) -> None:
        """Open the session after the first paint."""
        self.theme = "textual-dark"
        self.set_interval(TICK_SECONDS, self._show_newest)
        self.call_after_refresh(self.start_session)

    def show_busy(self, text: str) -> None:
        """Show the commands under way."""
        self.main.show_busy(text)

    def watch_preflight_state(self, preflight_state: PreflightState) -> None:
        self.main.preflight_state = preflight_state

    async def show_experiment(self, experiment: Experiment, run: RunId) -> None:
        """Show the runs of ``experiment``, to which some were added, in view 2 with ``run`` selected."""
        self._show_newest()
        await self.main.show_experiment(experiment)
        self.main.selected = run
        self.main.view = "runs"

    def show_decisions(self) -> None:
        """Show the decisions again, after one was recorded."""
        self.main.show_decisions()

    def preflight_is_visible(self) -> bool:
        """Whether view 1 is shown."""
        return self.main.view == "host"

    def watch_verify_state(self, verify_state: VerifyState) -> None:
        self.main.verify_state = verify_state

    @work(thread=True, exit_on_error=False, group="session", name="open")
    def start_session(self) -> SessionProtocol:
        """Make the session in a thread."""
        return self._make_session(self.prompter)

    @on(Worker.StateChanged)
    def _session_worker_ended(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "session":
            return
        error, opening = event.worker.error, event.worker.name == "open"
        if event.state is WorkerState.SUCCESS and opening and (session := event.worker.result) is not None:
            self.session = session
            self.main.set_session(session)
            self._show_newest()
            self._follow(session)
        elif event.state is WorkerState.ERROR and opening:
            self.exit(return_code=2, message=str(error))
        elif event.state is WorkerState.ERROR:
            text = (
                f"The console stopped following the host: {error}; {key_of('app.reconnect')} in view 1 connects again."
            )
            self.show_notice(text, "error")

    def _follow(self, session: SessionProtocol) -> None:
        self._follower = self.run_worker(session.run(), group="session", name="follow", exit_on_error=False)

    def action_reconnect(self) -> None:
        """Connect now; follow the host again if following ended with an error."""
        if self.asks_host() and self.session is not None:
            self.session.reconnect()
            if self._follower is not None and self._follower.is_finished:
                self._follow(self.session)

    def _show_newest(self) -> None:
        """Show the newest snapshot if it changed, skipping those in between, and the next prompt."""
        self.show_next_prompt()
        if self.session is not None and self.main.is_mounted:
            newest, shown = self.session.snapshot, self.main.snapshot
            if shown is None or newest.version != shown.version or newest.host is not shown.host:
                self.main.snapshot = newest
            self.update_link(newest.host.link)
            if newest.host.disk_full and not self._disk_full:
                text = full_disk(newest.host.disk_free)
                self.show_notice(f"{text[0].upper()}{text[1:]}; queued runs wait until there is room.", "error")
            self._disk_full = newest.host.disk_full
            needs_input = self.session.stopped.is_set()
            if needs_input and not self._needs_input:
                self.show_notice(f"{newest.host.detail}; {key_of('app.reconnect')} in view 1 connects again.", "error")
            self._needs_input = needs_input

    async def on_unmount(self) -> None:
        """Close the link; runs continue on the host."""
        if self.session is not None:
            try:
                await asyncio.wait_for(self.session.close(), _CLOSING_SECONDS)
            except TimeoutError:
                self.log.warning("the link did not close in time")

    def action_show_view(self, view: ViewName) -> None:
        self.main.view = view

    def action_cycle_glyphs(self) -> None:
        """Draw with the next set of signs."""
        self.main.glyphs = next_glyphs(self.main.glyphs)
        self.show_notice(f"Signs: {self.main.glyphs.name}.")

    def action_stop(self) -> None:
        for worker in self.workers:
            if worker.name in ("verify", "repair"):
                worker.cancel()

    def action_warnings(self) -> None:
        from console.ui.runs.warnings import WarningsDialog

        if isinstance(self.screen, MainScreen):
            self.push_screen(WarningsDialog(lambda: self.main.snapshot), self._show_live)

    def _show_live(self, run: RunId | None) -> None:
        if run is not None:
            self.main.selected = run
            self.main.view = "live"

    def action_help(self) -> None:
        from console.ui.dialogs import HelpScreen

        self.push_screen(HelpScreen())

    async def action_quit(self) -> None:
        """Leave; asks first if runs are active or not synced yet."""
        snapshot = self.main.snapshot
        active = sum(view.active for view in snapshot.runs.values()) if snapshot else 0
        unsynced = len(sync_status(snapshot).not_synced) if snapshot else 0
        parts = []
        if active:
            runs = "1 run continues" if active == 1 else f"{active} runs continue"
            parts.append(f"{runs} on the host without the console; start it again at any time to see how far.")
        if unsynced:
            verb = "is" if unsynced == 1 else "are"
            parts.append(f"{counted(unsynced, 'ended run')} {verb} not synced yet; the next start pulls the rest.")
        if parts:
            self.confirm(" ".join(parts), "quit", self.exit)
        else:
            self.exit()

    async def action_interrupt(self) -> None:
        """Copy the selected text; without any, quit."""
        from console.ui.dialogs import ConfirmDialog

        selected = self.screen.get_selected_text()
        if selected:
            self.copy_to_clipboard(selected)
            self.screen.clear_selection()
            self.show_notice("Copied.")
        elif not isinstance(self.screen, ConfirmDialog):
            await self.action_quit()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: actions of the visible view, and those that work everywhere."""
        pane = self.main.pane
        owners: tuple[tuple[DOMNode, Scope], ...] = ((pane, pane.SCOPE), (self, "app"))
        for owner, scope in owners:
            for action in actions_in(scope):
                if action.method != "action_command_palette":
                    key = key_label(action.keys[0])
                    yield SystemCommand(action.help, f"key {key}", partial(self.run_action, action.call, owner))
