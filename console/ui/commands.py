"""Commands to the host: launch, abort, restore, take over. Each runs in a worker, so the UI never waits for the host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Literal

from textual import on
from textual.app import App
from textual.worker import Worker, WorkerState

from console.format import counted
from console.runs.snapshot import HostView
from console.ui.actions import key_of
from console.ui.messages import ENDED, AbortRequested, LaunchRequested, RestoreRequested
from console.ui.session_protocol import SessionProtocol

if TYPE_CHECKING:
    from console.runs.launch_attempts import Outcome
    from console.runs.set_aside import SetAside
    from engine.contract.settings import RunId

Severity = Literal["information", "warning", "error"]
Notice = tuple[str, Severity]
Command = Literal["launch", "abort", "restore", "take over", "repair", "sync", "add", "decide", "export"]
_OVER_THE_LINK: tuple[Command, ...] = ("launch", "abort", "restore", "take over", "repair")
NO_HOST = "local copies are only shown; start qllm-console without view to launch, abort or sync"
_NOTICE_SECONDS: dict[Severity, float] = {"information": 3.0, "warning": 4.0, "error": 5.0}


class CommandApp(App[None], inherit_bindings=False):
    """Base of the console app: sends commands to the host and shows their outcome as notices."""

    session: SessionProtocol | None = None
    read_only = False
    has_host = True

    def __init__(self) -> None:
        super().__init__()
        self._pending: dict[str, str] = {}
        self.own_aborts: set[RunId] = set()
        # runs whose abort was requested and whose end the host has not reported yet
        self.aborting: frozenset[RunId] = frozenset()

    def show_busy(self, text: str) -> None:
        """Show the commands under way; none if ``text`` is empty."""
        raise NotImplementedError

    def show_notice(self, text: str, severity: Severity = "information", seconds: float | None = None) -> None:
        """Show a short notice; never as markup, because it may quote the host. ``seconds``: None goes by ``severity``."""
        timeout = _NOTICE_SECONDS[severity] if seconds is None else seconds
        self.notify(text, severity=severity, markup=False, timeout=timeout)

    def note_launched(self) -> None:
        """Take note that this console has launched runs."""

    def launched_notice(self, outcomes: Sequence[Outcome]) -> Notice:
        """The outcome of a launch in one line, of which note is taken."""
        if any(outcome.done for outcome in outcomes):
            self.note_launched()
        return outcome_notice("launched", outcomes)

    def confirm(self, question: str, yes_label: str, on_yes: Callable[[], object]) -> None:
        """Ask ``question``; call ``on_yes`` if it is answered with y."""
        from console.ui.dialogs import ConfirmDialog

        def answered(answer: bool | None) -> None:
            if answer:
                on_yes()

        self.push_screen(ConfirmDialog(question, yes_label), answered)

    @on(LaunchRequested)
    def _launch(self, message: LaunchRequested) -> None:
        session = self.session_for("launch")
        if session is None:
            return
        plan = session.plan_launch(message.runs, restart=message.restart)
        if not plan.launch:
            self.show_notice(plan.question)
            return

        async def launch() -> Notice:
            return self.launched_notice(await session.launch(plan))

        def start() -> None:
            self.run_command("launch", f"launching {counted(len(plan.launch), 'run')}", launch())

        if plan.aside_text or message.confirm:
            self.confirm(plan.question, "launch", start)
        else:
            start()

    @on(AbortRequested)
    def _abort(self, message: AbortRequested) -> None:
        session = self.session_for("abort")
        if session is None:
            return
        plan = session.plan_abort(message.runs)
        if not plan.abort:
            self.show_notice(plan.question)
            return

        async def abort() -> Notice:
            self.own_aborts.update(plan.abort)  # their end is no news
            self.aborting |= frozenset(plan.abort)
            ended: set[RunId] = set()
            try:
                outcomes = await session.abort(plan)
                ended = {one.run for one in outcomes if one.done}  # until their state says so, they are being aborted
            finally:
                self.aborting -= frozenset(plan.abort) - ended
            return outcome_notice("aborted", outcomes)

        busy_text = f"aborting {counted(len(plan.abort), 'run')}"
        self.confirm(plan.question, "abort", lambda: self.run_command("abort", busy_text, abort()))

    @on(RestoreRequested)
    def _find_set_aside(self, message: RestoreRequested) -> None:
        """Ask the host what was set aside, then the operator whether to bring the newest of it back."""
        session, run = self.session_for("restore"), message.run
        if session is None:
            return

        async def find() -> Notice | None:
            found = await session.list_set_aside(run)
            if not found.launches:
                return f"Nothing was set aside of {run.label}.", "information"
            self._ask_to_restore(session, run, found)
            return None

        self.run_command("restore", f"looking for what was set aside of {run.label}", find())

    def _ask_to_restore(self, session: SessionProtocol, run: RunId, found: SetAside) -> None:
        async def restore() -> Notice:
            return outcome_notice("restored", [await session.restore(run, newest.key, found.present)])

        newest, *older = found.launches
        question = (
            f"Bring back launch {newest.key[:8]} of {run.label} ({newest.state or 'lost'}; has {newest.content_text})?"
        )
        if found.present:
            question += " The present launch is set aside instead."
        if older:
            question += f" For {counted(len(older), 'older one')} use qllm-console restore."
        self.confirm(question, "restore", lambda: self.run_command("restore", f"restoring {run.label}", restore()))

    def action_take_over(self) -> None:
        session = self.session_for("take over")
        if session is None:
            return
        holder = session.snapshot.host.lease
        if not holder:
            self.show_notice("This console has the lease already.")
            return

        async def take_over() -> Notice:
            await session.take_over()
            return "This console has the lease now.", "information"

        question = f"{holder} has the lease of this host. After you take over, that console can only view it."
        self.confirm(question, "take over", lambda: self.run_command("take over", "taking over", take_over()))

    def open_session(self) -> SessionProtocol | None:
        """The session; None with a notice while the console is starting."""
        if self.session is None:
            self.show_notice("The console is still starting; try again in a moment.", "warning")
        return self.session

    def asks_host(self) -> bool:
        """Whether there is a host to ask; False with a notice if there is none."""
        if not self.has_host:
            self.show_notice(f"No host here: {NO_HOST}.", "warning")
        return self.has_host

    def session_for(self, command: Command) -> SessionProtocol | None:
        """The session if ``command`` can be sent now; else None with a notice that says why not."""
        if not self.asks_host():
            return None
        if self.read_only:
            self.show_notice("Read-only: start the console without --read-only to change the host.", "warning")
            return None
        session = self.open_session()
        if session is None:
            return None
        holder = session.snapshot.host.lease
        if command in self._pending:
            self.show_notice(f"Still {self._pending[command]}; wait for the host's answer.", "warning")
        elif holder and command != "take over":
            key = key_of("take_over")
            self.show_notice(f"{holder} has the lease of this host; {key} takes over.", "warning")
        elif command in _OVER_THE_LINK and (reason := _no_link_reason(session.snapshot.host)):
            self.show_notice(f"Cannot {command}: {reason}", "warning")
        else:
            return session
        return None

    def run_command(self, command: Command, busy_text: str, outcome: Coroutine[None, None, Notice | None]) -> None:
        """Wait for ``outcome`` in a worker and show it, if there is one; show ``busy_text`` meanwhile."""
        self._pending[command] = busy_text
        self.show_busy(", ".join(self._pending.values()))
        self.run_worker(outcome, name=command, group="commands", exit_on_error=False)

    @on(Worker.StateChanged)
    def _command_ended(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "commands" or event.state not in ENDED:
            return
        self._pending.pop(event.worker.name, None)
        self.show_busy(", ".join(self._pending.values()))
        if event.state is WorkerState.ERROR:
            self.show_notice(f"Could not {event.worker.name}: {event.worker.error}", "error")
        elif event.worker.result is not None:
            self.show_notice(*event.worker.result)


def _no_link_reason(host: HostView) -> str:
    """Why nothing can be asked of the host now, and what helps; "" if it can."""
    if host.link == "up":
        return ""
    state = "the link to the host is lost" if host.last_reply_at else "the host is not reached"
    detail = f" ({host.detail})" if host.detail else ""
    return f"{state}{detail}; {key_of('app.reconnect')} in view 1 connects now."


def outcome_notice(verb: str, outcomes: Sequence[Outcome]) -> Notice:
    """One line for all runs of a command: ``Launched 8 runs. 1 not launched: already active under another launch.``"""
    done = sum(outcome.done for outcome in outcomes)
    notes = Counter(outcome.note for outcome in outcomes if not outcome.done)
    parts = [f"{verb.capitalize()} {counted(done, 'run')}."] if done or not notes else []
    parts += [f"{count} not {verb}: {note}." for note, count in notes.items()]
    return " ".join(parts), "warning" if notes else "information"
