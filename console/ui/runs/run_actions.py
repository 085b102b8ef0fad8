"""Launching, aborting, taking over: what a key asks becomes a plan, a question where something is lost, a command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Literal

from textual import on
from textual.app import App
from textual.worker import Worker, WorkerState

from console.format import counted
from console.ui.dialogs.confirm import ConfirmDialog
from console.ui.messages import AbortWanted, CommandDone, LaunchWanted
from console.ui.session_protocol import OutcomeProtocol, SessionProtocol

Severity = Literal["information", "warning", "error"]
Command = Literal["launch", "abort", "take over", "repair", "pull again"]
_SECONDS: dict[Severity, float] = {"information": 3.0, "warning": 4.0, "error": 5.0}
_READ_ONLY = "Read-only: nothing is changed on the host. Start without --read-only to do so."


class RunActions(App[None], inherit_bindings=False):
    """An application that sends commands to a host, each beside everything else, and tells what came of them."""

    session: SessionProtocol | None = None
    read_only = False

    def __init__(self) -> None:
        super().__init__()
        self._under_way: dict[str, str] = {}

    def busy_with(self, work: str) -> None:
        """Show what is under way; nothing if empty."""
        raise NotImplementedError

    def say(self, words: str, severity: Severity = "information") -> None:
        """A short notice; never markup, for it may quote the host."""
        self.notify(words, severity=severity, markup=False, timeout=_SECONDS[severity])

    def ask(self, question: str, yes: str, go: Callable[[], object]) -> None:
        """A question; ``go`` if it is answered with y."""

        def answered(answer: bool | None) -> None:
            if answer:
                go()

        self.push_screen(ConfirmDialog(question, yes), answered)

    @on(LaunchWanted)
    def _launch(self, message: LaunchWanted) -> None:
        session = self.ready_to("launch")
        if session is None:
            return
        plan = session.plan_launch(message.runs, again=message.again)
        if not plan.launch:
            self.say(plan.question)
            return

        async def launch() -> CommandDone:
            return told("Launched", await session.launch(plan))

        def go() -> None:
            self.command("launch", f"launching {counted(len(plan.launch), 'run')}", launch())

        if plan.replaces:
            self.ask(plan.question, "launch", go)
        else:
            go()

    @on(AbortWanted)
    def _abort(self, message: AbortWanted) -> None:
        session = self.ready_to("abort")
        if session is None:
            return
        plan = session.plan_abort(message.runs)
        if not plan.abort:
            self.say(plan.question)
            return

        async def abort() -> CommandDone:
            return told("Aborted", await session.abort(plan))

        words = f"aborting {counted(len(plan.abort), 'run')}"
        self.ask(plan.question, "abort", lambda: self.command("abort", words, abort()))

    def action_take_over(self) -> None:
        """Take the host's lease from another console."""
        session = self.ready_to("take over")
        if session is None:
            return
        holder = session.snapshot.host.lease
        if not holder:
            self.say("This console has the host's lease already.")
            return

        async def take_over() -> CommandDone:
            await session.take_over()
            return CommandDone("This console launches and aborts now.", "information")

        question = f"{holder} launches and aborts on this host. Once you take over, that console only looks on."
        self.ask(question, "take over", lambda: self.command("take over", "taking over", take_over()))

    def ready_to(self, command: Command) -> SessionProtocol | None:
        """The core, if ``command`` can be asked of it now; else the operator is told why not."""
        holder = self.session.snapshot.host.lease if self.session is not None else ""
        if self.read_only:
            self.say(_READ_ONLY, "warning")
        elif self.session is None:
            self.say("The console is still starting; try again in a moment.", "warning")
        elif command in self._under_way:
            self.say(f"Still {self._under_way[command]}; wait for the host's answer.", "warning")
        elif holder and command != "take over":
            self.say(f"{holder} launches and aborts on this host; this console looks on. t takes over.", "warning")
        else:
            return self.session
        return None

    def command(self, command: Command, words: str, answer: Coroutine[None, None, CommandDone]) -> None:
        """Wait for the host's answer beside everything else."""
        self._under_way[command] = words
        self.busy_with(", ".join(self._under_way.values()))

        async def wait() -> None:
            self.post_message(await answer)

        self.run_worker(wait(), name=command, group="commands", exit_on_error=False)

    @on(CommandDone)
    def _tell(self, message: CommandDone) -> None:
        self.say(message.words, message.severity)

    @on(Worker.StateChanged)
    def _command_ended(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "commands" or not event.worker.is_finished:
            return
        self._under_way.pop(event.worker.name, None)
        self.busy_with(", ".join(self._under_way.values()))
        if event.state is WorkerState.ERROR:
            self.say(f"Could not {event.worker.name}: {event.worker.error}", "error")


def told(verb: str, outcomes: Sequence[OutcomeProtocol]) -> CommandDone:
    """What came of a command in one line: ``Launched 8 runs. 1 not: already active under another launch.``"""
    done = sum(outcome.done for outcome in outcomes)
    notes = Counter(outcome.note for outcome in outcomes if not outcome.done)
    parts = [f"{verb} {counted(done, 'run')}."] if done or not notes else []
    parts += [f"{count} not: {note}." for note, count in notes.items()]
    return CommandDone(" ".join(parts), "warning" if notes else "information")
