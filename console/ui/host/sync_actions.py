"""What comes home, on the operator's word: asking again for what did not come, and reading again what did."""

from __future__ import annotations

import time

from textual import on
from textual.worker import Worker, WorkerState

from console.format import counted
from console.ui.host.sync_text import VerifyState, verify_text
from console.ui.messages import CommandDone, PullAgainWanted, Verified, VerifyWanted, WaitLeft
from console.ui.runs.run_actions import RunActions
from console.ui.session_protocol import SessionProtocol


class SyncActions(RunActions, inherit_bindings=False):
    """An application that keeps a verification of what is at home. It writes nothing on the host: read-only can do it."""

    def __init__(self) -> None:
        super().__init__()
        self.verify_state = VerifyState()

    def show_verify_state(self, verify_state: VerifyState) -> None:
        """Show what is known now."""
        raise NotImplementedError

    @on(PullAgainWanted)
    def _pull_again(self) -> None:
        session = self._started()
        if session is None:
            return
        check = self.verify_state.check
        if check is not None and check.differing and not self.verify_state.going_on:
            self._see(VerifyState())  # it is of files that will be others

        async def pull_again() -> CommandDone:
            runs = session.pull_again()
            words = f"Asking for {counted(len(runs), 'run')} again." if runs else "Every ended run is at home already."
            return CommandDone(words, "information")

        self.command("pull again", "asking again for runs", pull_again())

    @on(VerifyWanted)
    def _verify(self) -> None:
        session = self._started()
        if session is None or self.verify_state.going_on:
            return
        self._see(VerifyState(since=time.monotonic()))

        async def verify() -> None:
            async for check in session.verify_synced():
                self.post_message(Verified(check))

        self.run_worker(verify(), name="verify", group="verify", exit_on_error=False)

    @on(Verified)
    def _checked(self, message: Verified) -> None:
        if self.verify_state.ended is None:
            self._see(self.verify_state.got_on(message.check))

    @on(WaitLeft)
    def _stop(self) -> None:
        self.workers.cancel_group(self, "verify")

    @on(Worker.StateChanged)
    def _verified(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "verify" or not event.worker.is_finished:
            return
        trouble = {WorkerState.ERROR: str(event.worker.error), WorkerState.CANCELLED: "stopped"}.get(event.state, "")
        self._see(self.verify_state.over(time.monotonic(), trouble))
        check = self.verify_state.check
        if check is not None and not trouble:
            self.say(verify_text(check), "error" if check.differing else "information")

    def _started(self) -> SessionProtocol | None:
        if self.session is None:
            self.say("The console is still starting; try again in a moment.", "warning")
        return self.session

    def _see(self, verify_state: VerifyState) -> None:
        self.verify_state = verify_state
        self.show_verify_state(verify_state)
