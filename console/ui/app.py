"""The console app: opens the session after the first paint, shows its snapshots, switches views, quits."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace
from textual import on, screen
from textual.events import Event, InputEvent
from textual.screen import Screen

from console.format import counted, full_disk
from console.glyphs import BRAILLE, Glyphs
from console.runs.run_view import RunView
from console.runs.snapshot import HostView, Link, Snapshot, SyncState, sync_status
from console.ui.action import Action
from console.ui.actions import Scope, ViewName, bindings, key_of, move_keys
from console.ui.appearance import Appearance
from console.ui.compositor import ConsoleCompositor
from console.ui.draw_pace import TICK_SECONDS, DrawPace
from console.ui.host.preflight import PreflightCommands
from console.ui.host.sync import SyncCommands
from console.ui.host.when_done import WhenDoneCommands
from console.ui.keymap import KeyMap
from console.ui.launch.commands import LaunchCommands
from console.ui.main_screen import MainScreen
from console.ui.messages import ActionClicked
from console.ui.notifications import Notifier, TerminalSignals
from console.ui.pane import Pane
from console.ui.results.commands import ResultCommands
from console.ui.saved_screen import SavedScreens, ScreenKeeper
from console.ui.session_commands import SessionCommands
from console.ui.session_protocol import Opened, SessionProtocol, Switcher
from console.ui.sharing_commands import SharingCommands, with_experiment
from console.ui.state import PreflightState, VerifyState, WhenDoneState
from console.ui.terminal import in_tmux
from console.user_settings import UserSettings
from engine.contract.experiment import Experiment, folder_name
from engine.contract.settings import RunId, run_ids

if TYPE_CHECKING:
    from textual.command import Provider

    from console.hosts.ssh.prompts import Prompter

_SETTLED_S = 3.0  # after the first paint
_SAVE_S = 5.0  # of the screen, which is then as it was even after a terminal was closed
_SWITCH_S = 0.001  # after which a thread that reads events or searches a log lets a key be handled; 5 ms by default


def _action_palette() -> type[Provider]:
    from console.ui.palette import ActionPalette  # when the palette is first opened

    return ActionPalette


class ConsoleApp(
    SessionCommands,
    LaunchCommands,
    PreflightCommands,
    SyncCommands,
    WhenDoneCommands,
    ResultCommands,
    SharingCommands,
    Appearance,
    inherit_bindings=False,
):
    """The Textual app of the console.

    Args:
        make_session: makes the session, which asks the operator through the prompter; called in a thread after the
            first paint, so it may import much.
        experiment, profile: what is run.
        host_title: the host's name for people, shown until the session knows more.
        read_only: launch, abort and repair are off.
        has_host: the session has a host; without one, whatever would ask it is off, too.
        in_replay: the session replays local copies.
        settings: the operator's own.
        moved_keys: the keys of actions that are not on those of the registry.
        glyphs: the signs to draw with.
        switcher: other hosts, profiles and experiments that can be opened instead.
        cli_options: options that commands shown to be copied need, such as ``--runs``.
        screens: the file that screens are kept in; None: every console begins in view 2.
    """

    TITLE = "qllm-console"
    CSS_PATH = "console.tcss"
    BINDINGS = bindings("app")
    COMMANDS = {_action_palette}  # noqa: RUF012 (Textual's way)
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
        in_replay: bool = False,
        settings: UserSettings | None = None,
        moved_keys: KeyMap | None = None,
        glyphs: Glyphs = BRAILLE,
        switcher: Switcher | None = None,
        cli_options: tuple[str, ...] = (),
        screens: SavedScreens | None = None,
    ) -> None:
        super().__init__()
        screen.Compositor = ConsoleCompositor  # type: ignore[attr-defined]  # a screen has no parameter for another
        self.switcher = switcher
        self.cli_options = cli_options
        self.use_settings(settings or UserSettings())
        move_keys(moved_keys or {})
        self.set_keymap({name: ",".join(keys) for name, keys in (moved_keys or {}).items()})
        self.animation_level = "none"  # an animation is a burst of redraws over a slow link
        self.read_only = read_only
        self.has_host = has_host
        self._in_replay = in_replay
        self.make_session = make_session
        self._needs_input = False
        self._disk_full = False
        self._shown_aborting: frozenset[RunId] = frozenset()
        self._notifier: Notifier | None = None
        self._pace = DrawPace()
        initial = self._initial(experiment, profile, host_title)
        self.main = MainScreen(experiment, profile, initial, read_only=read_only, has_host=has_host)
        self.main.set_reactive(MainScreen.glyphs, glyphs)
        self._keeper = ScreenKeeper(screens, initial.folder)

    def _initial(self, experiment: Experiment, profile: str, host_title: str) -> Snapshot:
        """The snapshot before anything is known of the runs."""
        runs = run_ids(experiment, profile)
        link: Link = "replay" if self._in_replay else "starting" if self.has_host else "local"
        return Snapshot(
            host=HostView(name=host_title, title=host_title, launcher="", address="", detail="Starting.", link=link),
            folder=folder_name(experiment, profile),
            profile=profile,
            runs={run: RunView(run) for run in runs},
            sync_states={run: SyncState() for run in runs},
        )

    def get_default_screen(self) -> Screen[None]:
        """The only screen."""
        return self.main

    def on_mount(self) -> None:
        """Open the session after the first paint."""
        sys.setswitchinterval(_SWITCH_S)
        self.set_interval(TICK_SECONDS, self._tick)
        self.run_worker(self.watch_experiment(), group="experiment", exit_on_error=False)
        self.call_after_refresh(self.read_other_styles)
        self.call_after_refresh(self.main.restore, self._keeper.last)  # which may import a view
        self.call_after_refresh(self.start_session)
        self.set_interval(_SAVE_S, self._save_screen)
        self.set_timer(_SETTLED_S, self.spare_collector)
        self.call_after_refresh(self.ask_background)

    def spare_collector(self) -> None:
        """Exclude all present objects from Python's collection of cyclic garbage.

        Each of its full passes would stop keys and paints, by 30 ms with the views that are shown, and many events cause
        many passes. Not in tests, where many apps come and go in one process.
        """
        if not self.is_headless:
            gc.freeze()

    def show_busy(self, text: str) -> None:
        """Show the commands under way."""
        self.main.show_busy(text)

    def watch_preflight_state(self, preflight_state: PreflightState) -> None:
        self.main.preflight_state = preflight_state

    async def use_experiment(self, experiment: Experiment) -> None:
        """Show ``experiment``, whose file was changed, in the same view and with the same run selected."""
        self._show_newest()
        await self.main.show_experiment(experiment)

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

    def watch_when_done_state(self, when_done_state: WhenDoneState) -> None:
        self.main.when_done_state = when_done_state

    def use_session(self, session: SessionProtocol) -> None:
        """Have the views show ``session``."""
        self.main.set_session(session)
        self.begin_when_done(session)
        self._show_newest()

    def forget_session(self) -> None:
        """Close the dialogs, the newest first, and the notices; the next session's first snapshot is no news."""
        self.clear_notifications()
        for dialog in reversed(self.screen_stack[1:]):
            dialog.dismiss(None)
        if self._notifier is not None:
            self._notifier.begin_again()

    async def show_opened(self, session: SessionProtocol, opened: Opened) -> None:
        """Show ``opened`` from the beginning, and follow it, in the same view."""
        view = self.main.view
        self.update_link("starting")
        self.preflight_state, self.verify_state = PreflightState(), VerifyState()
        self._needs_input = self._disk_full = False
        self.aborting = frozenset()
        self.cli_options = with_experiment(self.cli_options, session.experiment_file)
        initial = self._initial(opened.experiment, opened.profile, opened.host_title)
        self._keeper.save(self.main.saved())
        self._keeper.open(initial.folder)
        await self.main.open_experiment(opened.experiment, opened.profile, initial)
        self.begin_session(session)
        self.main.view = view

    async def on_event(self, event: Event) -> None:
        """Note keys and mouse events for the pace of drawing."""
        if isinstance(event, InputEvent):
            self._pace.note_input()
        await super().on_event(event)

    def _tick(self) -> None:
        self.show_next_prompt()
        following = self.main.snapshot is not None and self.main.snapshot.host.link == "up"
        if self._pace.is_due(moving=self.main.view == "live" or not following):
            self._show_newest()
            self.main.tick()

    def _show_newest(self) -> None:
        """Show the newest snapshot if it changed, skipping those in between, and the next prompt."""
        self.show_next_prompt()
        if self.session is not None and self.main.is_mounted:
            newest, shown = self.session.snapshot, self.main.snapshot
            is_new = shown is None or newest.version != shown.version or newest.host is not shown.host
            if is_new or self.aborting != self._shown_aborting:
                self.aborting = frozenset(run for run in self.aborting if newest.runs[run].can_be_aborted)
                self._shown_aborting = self.aborting
                self.main.snapshot = _with_aborting(newest, self.aborting)
            if self._notifier is None:
                self._notifier = self._make_notifier()
            self._notifier.update(newest, self.own_aborts, time.monotonic())
            self.update_link(newest.host.link)
            self.update_when_done(newest)
            if newest.host.disk_full and not self._disk_full:
                text = full_disk(newest.host.disk_free)
                self.show_notice(f"{text[0].upper()}{text[1:]}; queued runs wait until there is room.", "error")
            self._disk_full = newest.host.disk_full
            needs_input = self.session.stopped.is_set()
            if needs_input and not self._needs_input:
                self.show_notice(f"{newest.host.detail}; {key_of('app.reconnect')} in view 1 connects again.", "error")
            self._needs_input = needs_input

    def _make_notifier(self) -> Notifier:
        signals = None
        if (write := self.terminal_writer()) is not None:
            signals = TerminalSignals(write, in_tmux=in_tmux(os.environ))
        start = partial(self.run_worker, group="notify", exit_on_error=False)
        return Notifier(self.settings.notify, self.show_notice, signals, start)

    def terminal_writer(self) -> Callable[[str], object] | None:
        """Writes to the terminal; None where there is none, or a browser is in its place."""
        is_terminal = self._driver is not None and not self.is_headless and not self.is_web
        return self._driver.write if is_terminal and self._driver is not None else None

    def _save_screen(self) -> None:
        if (screen := self.main.saved()) != self._keeper.last:
            self.run_worker(partial(self._keeper.save, screen), thread=True, group="screen", exit_on_error=False)

    async def on_unmount(self) -> None:
        """Close the link; runs continue on the host."""
        self._keeper.save(self.main.saved())
        if self._notifier is not None:
            self._notifier.close()
        await self.close_session(self.session)

    async def action_show_view(self, view: ViewName) -> None:
        """Show ``view``; keys that have arrived with this one are held until it is there, and are then its own."""
        if self.main.is_first_time(view):
            self.set_timer(_SETTLED_S, self.spare_collector)
        self.main.view = view
        await self.main.shown.wait()

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

        self.push_screen(HelpScreen(self.main.pane.SCOPE))

    async def action_quit(self) -> None:
        """Leave; asks first if runs are active or not synced yet."""
        snapshot = self.main.snapshot if self.has_host else None
        active = sum(view.active for view in snapshot.runs.values()) if snapshot else 0
        unsynced = len(sync_status(snapshot).not_synced) if snapshot else 0
        parts = []
        if active:
            runs = "1 run continues" if active == 1 else f"{active} runs continue"
            parts.append(f"{runs} on the host without the console; start it again at any time to see how far.")
        if unsynced:
            verb = "is" if unsynced == 1 else "are"
            parts.append(f"{counted(unsynced, 'ended run')} {verb} not synced yet; the next start pulls the rest.")
        if self.when_done_state.ready:
            parts.append(f"{self.when_done_state.argv[0]}, which is due once all is done, is not run then.")
        if parts:
            self.confirm(" ".join(parts), "quit", self.exit)
        else:
            self.exit()

    async def action_interrupt(self) -> None:
        """Copy the selected text; without any, quit."""
        from console.ui.dialogs import ConfirmDialog

        selected = self.screen.get_selected_text()
        if selected:
            self.put_in_clipboard(selected)
            self.screen.clear_selection()
            self.show_notice("Copied.")
        elif not isinstance(self.screen, ConfirmDialog):
            await self.action_quit()

    def is_on(self, action: Action) -> bool:
        """Whether ``action`` can do anything: not where it needs a host that is not there, or may not change it."""
        return action.is_on(read_only=self.read_only, has_host=self.has_host)

    async def run_in_view(self, view: ViewName | None, scope: Scope, call: str) -> None:
        """Do what the action ``call`` of ``scope`` does, in its view; None: it works everywhere."""
        if view is not None and view != self.main.view:
            self.main.when_shown = partial(self.run_in_view, view, scope, call)
            self.main.view = view
            return
        owners = {name: owner for owner, name in self.main.pane.scope_owners()}
        await self.run_action(call, self.main if scope == "replay" else owners.get(scope, self))

    @on(ActionClicked)
    async def _run_clicked(self, message: ActionClicked) -> None:
        await self.run_in_view(None, message.scope, message.call)

    @property
    def present_pane(self) -> Pane:
        """The view that is shown."""
        return self.main.pane

    @property
    def present_view(self) -> ViewName:
        """The view that is shown."""
        return self.main.view

    @property
    def scopes_everywhere(self) -> tuple[Scope, ...]:
        """The scopes of actions that work in every view."""
        return ("app", "replay") if self._in_replay else ("app",)


def _with_aborting(snapshot: Snapshot, runs: frozenset[RunId]) -> Snapshot:
    """``snapshot`` with ``runs`` marked as being aborted."""
    marked = {run: replace(snapshot.runs[run], aborting=True) for run in runs}
    return replace(snapshot, runs=snapshot.runs | marked) if marked else snapshot
