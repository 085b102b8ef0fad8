"""The console: opens the headless core after the first paint, shows its snapshots, goes from view to view, and leaves."""

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

from console.format import counted
from console.runs.run_view import RunView
from console.runs.snapshot import HostView, Snapshot, SyncState
from console.runs.sync_status import sync_status
from console.ui.actions import Scope, ViewName, bindings, in_scope, shown_key
from console.ui.dialogs.confirm import ConfirmDialog
from console.ui.dialogs.questions import QuestionQueue
from console.ui.host.preflight_actions import PreflightActions
from console.ui.host.preflight_state import PreflightState
from console.ui.host.sync_actions import SyncActions
from console.ui.host.sync_text import VerifyState
from console.ui.main_screen import TICK, MainScreen
from console.ui.messages import ReconnectWanted, SessionOpened
from console.ui.session_protocol import SessionProtocol
from engine.contract.experiment import Experiment, folder_name
from engine.contract.settings import run_ids

if TYPE_CHECKING:
    from console.hosts.ssh.prompts import Prompter

_CLOSING_SECONDS = 5.0


class ConsoleApp(PreflightActions, SyncActions, QuestionQueue, inherit_bindings=False):
    """The application.

    Args:
        open_session: makes the headless core, which asks the operator by the prompter it is given; called in a thread
            after the first paint, so it may import much.
        experiment, profile: what is run.
        host_title: the host's name for people, shown until the core knows more.
        read_only: launching and aborting are off.
    """

    TITLE = "qllm-console"
    CSS_PATH = "console.tcss"
    BINDINGS = bindings("app")
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(
        self,
        open_session: Callable[[Prompter], SessionProtocol],
        experiment: Experiment,
        profile: str,
        host_title: str,
        read_only: bool,
    ) -> None:
        super().__init__()
        self.animation_level = "none"  # an animation is a burst of redraws over a slow link
        self.read_only = read_only
        self._open_session = open_session
        self._stopped = False
        self._following: Worker[None] | None = None
        runs = run_ids(experiment, profile)
        first = Snapshot(
            host=HostView(name=host_title, title=host_title, launcher="", address="", detail="Starting."),
            folder=folder_name(experiment, profile),
            profile=profile,
            runs={run: RunView(run) for run in runs},
            sync_states={run: SyncState() for run in runs},
        )
        self.main = MainScreen(experiment, f"{experiment.name}, {profile}", first, read_only=read_only)

    def get_default_screen(self) -> Screen[None]:
        """The one screen."""
        return self.main

    def on_mount(self) -> None:
        """Paint first, open the core then."""
        self.theme = "textual-dark"
        self.set_interval(TICK, self._show_newest)
        self.call_after_refresh(self.start_session)

    def busy_with(self, work: str) -> None:
        """Show what is under way."""
        self.main.busy_with(work)

    def show_preflight_state(self, preflight_state: PreflightState) -> None:
        """Show how the host was found."""
        self.main.preflight_state = preflight_state

    def show_verify_state(self, verify_state: VerifyState) -> None:
        """Show how what is at home was found."""
        self.main.verify_state = verify_state

    @work(thread=True, exit_on_error=False, group="core", name="open")
    def start_session(self) -> None:
        """Make the core; the first paint is done."""
        self.post_message(SessionOpened(self._open_session(self.prompter)))

    @on(SessionOpened)
    def _opened(self, message: SessionOpened) -> None:
        self.session = message.session
        self.main.attach(message.session)
        self._show_newest()
        self._follow(message.session)

    def _follow(self, session: SessionProtocol) -> None:
        self._following = self.run_worker(session.run(), group="core", name="follow", exit_on_error=False)

    @on(ReconnectWanted)
    def _reconnect(self) -> None:
        """Try a lost link now; follow again if that broke off."""
        if self.session is not None:
            self.session.reconnect()
            if self._following is not None and self._following.is_finished:
                self._follow(self.session)

    def _show_newest(self) -> None:
        """Show the newest snapshot if it is another, those in between are never drawn; ask what waits to be asked."""
        self.ask_next()
        if self.session is not None and self.main.is_mounted:
            newest, shown = self.session.snapshot, self.main.snapshot
            if shown is None or newest.version != shown.version or newest.host is not shown.host:
                self.main.snapshot = newest
            self.link_is(newest.host.link)
            self._tell_if_stopped(self.session.stopped.is_set(), newest.host.detail)

    def _tell_if_stopped(self, stopped: bool, why: str) -> None:
        if stopped and not self._stopped:
            self.say(f"{why}; c in view 1 tries again.", "error")
        self._stopped = stopped

    @on(Worker.StateChanged)
    def _core_failed(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "core" or event.state is not WorkerState.ERROR:
            return
        if event.worker.name == "open":
            self.exit(return_code=2, message=str(event.worker.error))
        else:
            self.say(f"The console stopped following the host: {event.worker.error}; c in view 1 goes on.", "error")

    async def on_unmount(self) -> None:
        """Let go of the link; what runs on the host goes on."""
        if self.session is not None:
            try:
                await asyncio.wait_for(self.session.close(), _CLOSING_SECONDS)
            except TimeoutError:
                self.log.warning("the link did not close in time")

    def action_show_view(self, view: ViewName) -> None:
        """Go to a view."""
        self.main.view = view

    def action_help(self) -> None:
        """Show every key."""
        from console.ui.dialogs.help import HelpScreen

        self.push_screen(HelpScreen())

    async def action_quit(self) -> None:
        """Leave; with a question if runs go on, or are on their way home."""
        snapshot = self.main.snapshot
        count = sum(view.active for view in snapshot.runs.values()) if snapshot else 0
        coming = len(sync_status(snapshot).to_come) if snapshot else 0
        parts = []
        if count:
            which = "1 run goes" if count == 1 else f"{count} runs go"
            parts.append(f"{which} on without the console; start it again at any time to see how far.")
        if coming:
            parts.append(f"{counted(coming, 'ended run')} not at home yet: what is missing comes with the next start.")
        if parts:
            self.ask(" ".join(parts), "quit", self.exit)
        else:
            self.exit()

    async def action_interrupt(self) -> None:
        """Copy what is selected, else leave."""
        selected = self.screen.get_selected_text()
        if selected:
            self.copy_to_clipboard(selected)
            self.screen.clear_selection()
            self.say("Copied.")
        elif not isinstance(self.screen, ConfirmDialog):
            await self.action_quit()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: what works in the view in sight, and everywhere."""
        pane = self.main.pane
        places: tuple[tuple[DOMNode, Scope], ...] = ((pane, pane.SCOPE), (self, "app"))
        for node, scope in places:
            for action in in_scope(scope):
                if action.method != "action_command_palette":
                    key = shown_key(action.keys[0])
                    yield SystemCommand(action.help, f"key {key}", partial(self.run_action, action.call, node))
