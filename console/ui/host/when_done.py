"""The operator's command for when all is done, in the console: armed by an active run, run at most once, turned off by a key."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from msgspec.structs import replace
from textual import on
from textual.reactive import var
from textual.worker import Worker, WorkerState

from console.runs.snapshot import Snapshot
from console.ui.actions import key_of
from console.ui.commands import CommandApp
from console.ui.session_protocol import SessionProtocol
from console.ui.state import WhenDoneState

GRACE_S = 60.0  # between the first proof and the second, after which the command is run: time to turn it off


def when_done_text(state: WhenDoneState, holder: str) -> str:
    """The line of view 1; empty if the host's entry names no command. ``holder``: the console that has the lease."""
    if not state.argv:
        return ""
    program, key = Path(state.argv[0]).name, key_of("app.toggle_when_done")  # not its arguments, which may hold a key
    if state.problem:
        return f"cannot be run: {state.problem}"
    if state.off:
        return f"{program} is turned off; {key} turns it on"
    if state.armed:
        return f"{program} runs once all is done; {key} turns it off; waits for: {state.waits_for or 'the last check'}"
    if state.outcome:
        return f"{state.outcome}; the next active run arms it again"
    if holder:
        return f"{program} is left to {holder}, who has the lease"
    return f"{program} is not armed: no run was active since this console connected"


class WhenDoneCommands(CommandApp, inherit_bindings=False):
    """App mixin that runs the host's ``when_done`` command once all is done."""

    when_done_state = var(WhenDoneState(), init=False)
    _check_at = 0.0

    def begin_when_done(self, session: SessionProtocol) -> None:
        """Take the command of the session's host, if this console may run it; nothing is armed yet."""
        self.when_done_state, self._check_at = WhenDoneState(), 0.0
        if self.read_only or not self.has_host or not (argv := session.upkeep.when_done):
            return
        from console.hosts.when_done import check_command
        from engine.contract.bad_input import BadInput

        problem = ""
        try:
            argv = check_command(argv, "when_done")
        except BadInput as error:
            problem = str(error)
            self.show_notice(f"{problem}; nothing is run once all is done.", "error")
        self.when_done_state = WhenDoneState(argv, problem)

    def note_launched(self) -> None:
        """Arm the ``when_done`` command after a launch, also if its runs end before any is seen running."""
        if self.when_done_state.argv:
            self.when_done_state = replace(self.when_done_state, armed=True)

    def update_when_done(self, snapshot: Snapshot) -> None:
        """Arm the command by an active run; once all is done as far as is known here, have the host prove it."""
        before = self.when_done_state
        if not before.argv or before.problem or self.session is None:
            return
        from console.hosts.when_done import reasons_text, undone

        state = before.updated(snapshot)
        if state.armed and not before.armed and not state.off:
            self.show_notice(f"{state.argv[0]} runs once every run has ended and is verified here; view 1 says more.")
        if not state.ready:
            self.when_done_state = state
            return
        reasons = undone(snapshot, snapshot.runs)
        self.when_done_state = replace(state, waits_for=reasons_text(reasons)) if reasons else state
        checking = any(worker.group == "when_done" for worker in self.workers)
        if not reasons and not checking and time.monotonic() >= self._check_at:
            self.run_worker(self._prove_and_run(self.session), name="when_done", group="when_done", exit_on_error=False)

    def action_toggle_when_done(self) -> None:
        """Turn the command off, or on again."""
        state = self.when_done_state
        if not state.argv:
            self.show_notice("This host's entry in hosts.toml names no when_done command.")
            return
        self.when_done_state = state = replace(state, off=not state.off)
        if state.off and state.armed:  # one that runs already is waited for
            for worker in self.workers:
                if worker.group == "when_done":
                    worker.cancel()
        how = "is not run" if state.off else "runs"
        self.show_notice(f"{state.argv[0]} {how} once all is done.")

    async def _prove_and_run(self, session: SessionProtocol) -> None:
        """Run the command if all is proved to be done, now and again after a while in which it can be turned off."""
        from console.hosts.when_done import CHECK_EVERY_S, DONE_TEXT, reasons_text, run_apart
        from engine.contract.bad_input import BadInput

        argv = self.when_done_state.argv
        for grace in (GRACE_S, 0.0):
            if reasons := await self._doubts(session):
                text = reasons_text(reasons)
                self.when_done_state = replace(self.when_done_state, waits_for=text)
                self._check_at = time.monotonic() + CHECK_EVERY_S
                return
            if grace:
                key = key_of("app.toggle_when_done")
                text = f"A{DONE_TEXT[1:]}: {argv[0]} runs in {grace:g} s; {key} in view 1 turns it off."
                self.show_notice(text, "warning", grace)
                await asyncio.sleep(grace)
        self.when_done_state = replace(self.when_done_state, armed=False, waits_for="", outcome=f"{argv[0]} is running")
        self.show_notice(f"A{DONE_TEXT[1:]}: running {argv[0]}.")
        try:
            code, last = await run_apart(argv)
            outcome = f"{argv[0]} ended with {code}" + (f": {last}" if last else "")
        except BadInput as error:
            code, outcome = 1, str(error)
        self.when_done_state = replace(self.when_done_state, outcome=outcome)
        self.show_notice(f"{outcome}.", "error" if code else "information")

    async def _doubts(self, session: SessionProtocol) -> tuple[str, ...]:
        """Why the command is not run now; empty if every byte is proved to be here, and nobody else may act."""
        from console.hosts.ssh.errors import LinkDown
        from console.hosts.when_done import still_undone, undone
        from engine.contract.bad_input import BadInput

        if reasons := await still_undone(session, session.snapshot.runs):
            return reasons
        try:
            await session.upkeep.check_lease()
        except (LinkDown, BadInput) as error:
            return (str(error),)
        # nothing is awaited between this and the command's start: what was pressed or reported meanwhile counts
        if self._pending:
            return (", ".join(self._pending.values()),)
        if not self.when_done_state.ready or session is not self.session:
            return ("it was turned off",)
        return undone(session.snapshot, session.snapshot.runs)

    @on(Worker.StateChanged)
    def _when_done_failed(self, event: Worker.StateChanged) -> None:
        if event.worker.group == "when_done" and event.state is WorkerState.ERROR:
            self.when_done_state = replace(self.when_done_state, problem=str(event.worker.error))
            self.show_notice(f"when_done: {event.worker.error}", "error")
