"""The console: opens the headless core after the first paint, shows its snapshots, carries out what the keys ask."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Literal

from textual import on, work
from textual.app import App, SystemCommand
from textual.dom import DOMNode
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from console.run_view import RunView
from console.snapshot import Home, HostView, Snapshot
from console.ui.actions import Scope, ViewName, bindings, in_scope, shown_key
from console.ui.core import Core, OutcomeLike
from console.ui.dialogue import Dialogue
from console.ui.format import counted
from console.ui.main_screen import TICK, MainScreen
from console.ui.messages import AbortWanted, CommandDone, LaunchWanted, SessionOpened
from engine.contract.experiment import Experiment, folder_name, run_ids

_CLOSING_SECONDS = 5.0
_FAILED = {
    "follow": "The console stopped following the host",
    "launch": "The launch did not go through",
    "abort": "The abort did not go through",
}
_SECONDS = {"information": 3.0, "warning": 8.0, "error": 20.0}
_READ_ONLY = "Read-only: nothing is launched or aborted. Start without --read-only to do so."


class ConsoleApp(App[None], inherit_bindings=False):
    """The application.

    Args:
        open_session: makes the headless core; called in a thread after the first paint, so it may import much.
        experiment, profile: what is run.
        host_title: the host's name for people, shown until the core knows more.
        read_only: launching and aborting are off.
    """

    TITLE = "qllm-console"
    CSS_PATH = "console.tcss"
    BINDINGS = bindings("app")
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(
        self, open_session: Callable[[], Core], experiment: Experiment, profile: str, host_title: str, read_only: bool
    ) -> None:
        super().__init__()
        self.animation_level = "none"  # an animation is a burst of redraws over a slow link
        self._open_session = open_session
        self._read_only = read_only
        self._core: Core | None = None
        self._work: dict[str, str] = {}
        runs = run_ids(experiment, profile)
        first = Snapshot(
            host=HostView(name=host_title, title=host_title, launcher="", address="", detail="Starting."),
            folder=folder_name(experiment, profile),
            profile=profile,
            runs={run: RunView(run) for run in runs},
            homes={run: Home() for run in runs},
        )
        self.main = MainScreen(experiment, f"{experiment.name}, {profile}", first, read_only=read_only)

    def get_default_screen(self) -> Screen[None]:
        """The one screen."""
        return self.main

    def on_mount(self) -> None:
        """Paint first, open the core then."""
        self.theme = "textual-dark"
        self.set_interval(TICK, self._show_newest)
        self.call_after_refresh(self.open_core)

    # The core

    @work(thread=True, exit_on_error=False, name="open")
    def open_core(self) -> None:
        """Make the core; the first paint is done."""
        self.post_message(SessionOpened(self._open_session()))

    @on(SessionOpened)
    def _opened(self, message: SessionOpened) -> None:
        self._core = message.core
        self.main.attach(message.core)
        self._show_newest()
        self.run_worker(message.core.run(), name="follow", exit_on_error=False)

    def _show_newest(self) -> None:
        """Show the newest snapshot if it is another; those in between are never drawn."""
        if self._core is not None:
            newest, shown = self._core.snapshot, self.main.snapshot
            if shown is None or newest.version != shown.version or newest.host is not shown.host:
                self.main.snapshot = newest

    async def on_unmount(self) -> None:
        """Let go of the link; what runs on the host goes on."""
        if self._core is not None:
            try:
                await asyncio.wait_for(self._core.close(), _CLOSING_SECONDS)
            except TimeoutError:
                self.log.warning("the link did not close in time")

    @on(Worker.StateChanged)
    def _worker_ended(self, event: Worker.StateChanged) -> None:
        name = event.worker.name
        if event.worker.is_finished and name in self._work:
            del self._work[name]
            self.main.busy_with(", ".join(self._work.values()))
        if event.state is not WorkerState.ERROR:
            return
        if name == "open":
            self.exit(return_code=2, message=str(event.worker.error))
        else:
            self._say(f"{_FAILED.get(name, name)}: {event.worker.error}", "error")

    # What the keys ask

    @on(LaunchWanted)
    def _launch(self, message: LaunchWanted) -> None:
        core = self._ready_to("launch")
        if core is None:
            return
        plan = core.plan_launch(message.runs, again=message.again)
        if not plan.launch:
            self._say(plan.question)
            return
        words = f"launching {counted(len(plan.launch), 'run')}"

        def go(yes: bool | None) -> None:
            if yes:
                self._command("launch", words, "Launched", core.launch(plan))

        if plan.replaces:
            self._ask(plan.question, "launch", go)
        else:
            go(True)

    @on(AbortWanted)
    def _abort(self, message: AbortWanted) -> None:
        core = self._ready_to("abort")
        if core is None:
            return
        plan = core.plan_abort(message.runs)
        if not plan.abort:
            self._say(plan.question)
            return
        words = f"aborting {counted(len(plan.abort), 'run')}"

        def go(yes: bool | None) -> None:
            if yes:
                self._command("abort", words, "Aborted", core.abort(plan))

        self._ask(plan.question, "abort", go)

    def _ready_to(self, name: str) -> Core | None:
        """The core, if it can be asked to ``name`` now; else the operator is told why not."""
        if self._read_only:
            self._say(_READ_ONLY, "warning")
        elif self._core is None:
            self._say("The console is still starting; try again in a moment.", "warning")
        elif name in self._work:
            self._say(f"Still {self._work[name]}; wait for the host's answer.", "warning")
        else:
            return self._core
        return None

    def _command(self, name: str, words: str, verb: str, answer: Coroutine[None, None, Sequence[OutcomeLike]]) -> None:
        """Wait for the host's answer to a command beside everything else."""
        self._work[name] = words
        self.main.busy_with(", ".join(self._work.values()))

        async def wait() -> None:
            self.post_message(CommandDone(verb, tuple(await answer)))

        self.run_worker(wait(), name=name, exit_on_error=False)

    @on(CommandDone)
    def _done(self, message: CommandDone) -> None:
        done = [outcome for outcome in message.outcomes if outcome.done]
        notes = Counter(outcome.note for outcome in message.outcomes if not outcome.done)
        parts = [f"{message.verb} {counted(len(done), 'run')}."] if done or not notes else []
        parts += [f"{count} not: {note}." for note, count in notes.items()]
        self._say(" ".join(parts), "warning" if notes else "information")

    def _ask(self, question: str, yes: str, answer: Callable[[bool | None], None]) -> None:
        self.push_screen(Dialogue(question, yes), answer)

    def _say(self, words: str, severity: Literal["information", "warning", "error"] = "information") -> None:
        """A short notice; never markup, for it may quote the host."""
        self.notify(words, severity=severity, markup=False, timeout=_SECONDS[severity])

    # Everywhere

    def action_show_view(self, view: ViewName) -> None:
        """Go to a view."""
        self.main.view = view

    def action_help(self) -> None:
        """Show every key."""
        from console.ui.help_screen import HelpScreen

        self.push_screen(HelpScreen())

    async def action_quit(self) -> None:
        """Leave; with a question if runs go on."""
        snapshot = self.main.snapshot
        count = sum(view.active for view in snapshot.runs.values()) if snapshot else 0
        if not count:
            self.exit()
            return
        which = "1 run goes" if count == 1 else f"{count} runs go"
        question = f"{which} on without the console; start it again at any time to see how far."
        self._ask(question, "quit", lambda yes: self.exit() if yes else None)

    async def action_interrupt(self) -> None:
        """Copy what is selected, else leave."""
        selected = self.screen.get_selected_text()
        if selected:
            self.copy_to_clipboard(selected)
            self.screen.clear_selection()
            self._say("Copied.")
        elif not isinstance(self.screen, Dialogue):
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
