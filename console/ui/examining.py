"""Looking at the host: once by itself when it is first reached, again on request; and the repairs that checks advise."""

from __future__ import annotations

import time

from textual import on
from textual.worker import Worker, WorkerState

from console.hosts.preflight.check import Check, Repair, worst
from console.snapshot import Link
from console.ui.commands import CommandingApp
from console.ui.core import Core
from console.ui.examination import Examination, verdict
from console.ui.messages import CommandDone, Looked, LookWanted, RepairSaid, RepairWanted, WaitLeft
from console.ui.repair_question import repair_question


class ExaminingApp(CommandingApp, inherit_bindings=False):
    """An application that keeps an examination of the host."""

    def __init__(self) -> None:
        super().__init__()
        self.examination = Examination()
        self._link: Link = "starting"

    def show_examination(self, examination: Examination) -> None:
        """Show what is known now."""
        raise NotImplementedError

    def link_is(self, link: Link) -> None:
        """Look at the host as soon as it is reached, until that has worked once."""
        came_up = link == "up" != self._link
        self._link = link
        if came_up and self.core is not None and self.examination.looked_at is None:
            self._look(self.core)

    @on(LookWanted)
    def _look_again(self) -> None:
        if self.core is None:
            self.say("The console is still starting; try again in a moment.", "warning")
        else:
            self._learn(self.examination.repair_seen())
            self._look(self.core)

    def _look(self, core: Core) -> None:
        if self.examination.looking_since is not None:
            return
        self._learn(self.examination.began(time.monotonic()))

        async def look() -> None:
            self.post_message(Looked(await core.preflight()))

        self.run_worker(look(), name="look", group="preflight", exit_on_error=False)

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        first = self.examination.looked_at is None
        self._learn(self.examination.found(message.checks, time.monotonic()))
        if first and worst(message.checks) == "blocker":
            self.say(f"Preflight: {verdict(message.checks)}; see view 1.", "warning")

    @on(Worker.StateChanged)
    def _look_failed(self, event: Worker.StateChanged) -> None:
        if event.worker.group == "preflight" and event.state is WorkerState.ERROR:
            self._learn(self.examination.failed(str(event.worker.error)))

    @on(RepairWanted)
    def _repair(self, message: RepairWanted) -> None:
        check = message.check
        core = self.ready_to("repair")
        if core is None:
            return
        if check.repair is None:
            self.say(f"{check.name}: there is nothing that can be done from here.")
            return
        question, yes = repair_question(check.repair, core.snapshot.host)
        what = check.repair
        self.ask(question, yes, lambda: self._begin_repair(core, check, what))

    def _begin_repair(self, core: Core, check: Check, what: Repair) -> None:
        self._learn(self.examination.repair_began(check.name, time.monotonic()))

        async def repair() -> CommandDone:
            line = "done"
            async for line in core.repair(what):
                self.post_message(RepairSaid(line))
            return CommandDone(f"{check.name}: {line}", "information")

        self.command("repair", f"repairing {check.name}", repair())

    @on(RepairSaid)
    def _repair_said(self, message: RepairSaid) -> None:
        self._learn(self.examination.repair_said(message.line))

    @on(WaitLeft)
    def _leave_repair(self) -> None:
        for worker in self.workers:
            if worker.group == "commands" and worker.name == "repair":
                worker.cancel()

    @on(Worker.StateChanged)
    def _repair_ended(self, event: Worker.StateChanged) -> None:
        """Look again, whatever came of it."""
        if event.worker.group != "commands" or event.worker.name != "repair" or not event.worker.is_finished:
            return
        trouble = {WorkerState.ERROR: str(event.worker.error), WorkerState.CANCELLED: "no longer waited for"}
        self._learn(self.examination.repair_ended(time.monotonic(), trouble.get(event.state, "")))
        if self.core is not None:
            self._look(self.core)

    def _learn(self, examination: Examination) -> None:
        self.examination = examination
        self.show_examination(examination)
