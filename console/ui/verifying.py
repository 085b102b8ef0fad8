"""What comes home, on the operator's word: asking again for what did not come, and reading again what did."""

from __future__ import annotations

import time

from textual import on
from textual.worker import Worker, WorkerState

from console.number_words import counted
from console.ui.commands import CommandingApp
from console.ui.core import Core
from console.ui.home_words import checked_words
from console.ui.messages import CommandDone, HomeChecked, PullAgainWanted, VerifyWanted, WaitLeft
from console.ui.verification import Verification


class VerifyingApp(CommandingApp, inherit_bindings=False):
    """An application that keeps a verification of what is at home. It writes nothing on the host: read-only can do it."""

    def __init__(self) -> None:
        super().__init__()
        self.verification = Verification()

    def show_verification(self, verification: Verification) -> None:
        """Show what is known now."""
        raise NotImplementedError

    @on(PullAgainWanted)
    def _pull_again(self) -> None:
        core = self._started()
        if core is None:
            return
        check = self.verification.check
        if check is not None and check.differing and not self.verification.going_on:
            self._see(Verification())  # it is of files that will be others

        async def pull_again() -> CommandDone:
            runs = core.pull_again()
            words = f"Asking for {counted(len(runs), 'run')} again." if runs else "Every ended run is at home already."
            return CommandDone(words, "information")

        self.command("pull again", "asking again for runs", pull_again())

    @on(VerifyWanted)
    def _verify(self) -> None:
        core = self._started()
        if core is None or self.verification.going_on:
            return
        self._see(Verification(since=time.monotonic()))

        async def verify() -> None:
            async for check in core.verify_home():
                self.post_message(HomeChecked(check))

        self.run_worker(verify(), name="verify", group="verify", exit_on_error=False)

    @on(HomeChecked)
    def _checked(self, message: HomeChecked) -> None:
        if self.verification.ended is None:
            self._see(self.verification.got_on(message.check))

    @on(WaitLeft)
    def _stop(self) -> None:
        self.workers.cancel_group(self, "verify")

    @on(Worker.StateChanged)
    def _verified(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "verify" or not event.worker.is_finished:
            return
        trouble = {WorkerState.ERROR: str(event.worker.error), WorkerState.CANCELLED: "stopped"}.get(event.state, "")
        self._see(self.verification.over(time.monotonic(), trouble))
        check = self.verification.check
        if check is not None and not trouble:
            self.say(checked_words(check), "error" if check.differing else "information")

    def _started(self) -> Core | None:
        if self.core is None:
            self.say("The console is still starting; try again in a moment.", "warning")
        return self.core

    def _see(self, verification: Verification) -> None:
        self.verification = verification
        self.show_verification(verification)
