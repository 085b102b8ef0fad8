"""Looking at the host: once by itself when it is first reached, again on request; and the repairs that checks advise."""

from __future__ import annotations

import time

from textual import on
from textual.worker import Worker, WorkerState

from console.format import size
from console.hosts.preflight.checks import ENVIRONMENT_CPU, ENVIRONMENT_CUDA, Check, Repair, worst_status
from console.runs.snapshot import HostView, Link
from console.ui.host.preflight_state import PreflightState, verdict
from console.ui.messages import CommandDone, Looked, LookWanted, RepairSaid, RepairWanted, WaitLeft
from console.ui.runs.run_actions import RunActions
from console.ui.session_protocol import SessionProtocol


def repair_question(what: Repair, host: HostView) -> tuple[str, str]:
    """The question, and what a yes does."""
    where = f"{host.title} ({host.address})" if host.address else host.title
    if what == "wordnet":
        return f"Fetch WordNet 3.0 on {where}, into the engine's installation there.", "fetch it"
    folder = f"{host.facts.workspace}/env" if host.facts else "the folder env of the workspace"
    needed = ENVIRONMENT_CUDA if host.facts and host.facts.gpus else ENVIRONMENT_CPU
    question = (
        f"Make the engine's environment on {where}, in {folder}: a virtual environment with the engine and PyTorch, "
        f"up to {size(needed)}, downloaded by the host. It takes minutes. Nothing else on the host is touched."
    )
    return question, "make it"


class PreflightActions(RunActions, inherit_bindings=False):
    """An application that keeps an examination of the host."""

    def __init__(self) -> None:
        super().__init__()
        self.preflight_state = PreflightState()
        self._link: Link = "starting"

    def show_preflight_state(self, preflight_state: PreflightState) -> None:
        """Show what is known now."""
        raise NotImplementedError

    def link_is(self, link: Link) -> None:
        """Look at the host as soon as it is reached, until that has worked once."""
        came_up = link == "up" != self._link
        self._link = link
        if came_up and self.session is not None and self.preflight_state.looked_at is None:
            self._look(self.session)

    @on(LookWanted)
    def _look_again(self) -> None:
        if self.session is None:
            self.say("The console is still starting; try again in a moment.", "warning")
        else:
            self._learn(self.preflight_state.repair_seen())
            self._look(self.session)

    def _look(self, session: SessionProtocol) -> None:
        if self.preflight_state.looking_since is not None:
            return
        self._learn(self.preflight_state.began(time.monotonic()))

        async def look() -> None:
            self.post_message(Looked(await session.preflight()))

        self.run_worker(look(), name="look", group="preflight", exit_on_error=False)

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        first = self.preflight_state.looked_at is None
        self._learn(self.preflight_state.found(message.checks, time.monotonic()))
        if first and worst_status(message.checks) == "blocker":
            self.say(f"Preflight: {verdict(message.checks)}; see view 1.", "warning")

    @on(Worker.StateChanged)
    def _look_failed(self, event: Worker.StateChanged) -> None:
        if event.worker.group == "preflight" and event.state is WorkerState.ERROR:
            self._learn(self.preflight_state.failed(str(event.worker.error)))

    @on(RepairWanted)
    def _repair(self, message: RepairWanted) -> None:
        check = message.check
        session = self.ready_to("repair")
        if session is None:
            return
        if check.repair is None:
            self.say(f"{check.name}: there is nothing that can be done from here.")
            return
        question, yes = repair_question(check.repair, session.snapshot.host)
        what = check.repair
        self.ask(question, yes, lambda: self._begin_repair(session, check, what))

    def _begin_repair(self, session: SessionProtocol, check: Check, what: Repair) -> None:
        self._learn(self.preflight_state.repair_began(check.name, time.monotonic()))

        async def repair() -> CommandDone:
            line = "done"
            async for line in session.repair(what):
                self.post_message(RepairSaid(line))
            return CommandDone(f"{check.name}: {line}", "information")

        self.command("repair", f"repairing {check.name}", repair())

    @on(RepairSaid)
    def _repair_said(self, message: RepairSaid) -> None:
        self._learn(self.preflight_state.repair_said(message.line))

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
        self._learn(self.preflight_state.repair_ended(time.monotonic(), trouble.get(event.state, "")))
        if self.session is not None:
            self._look(self.session)

    def _learn(self, preflight_state: PreflightState) -> None:
        self.preflight_state = preflight_state
        self.show_preflight_state(preflight_state)
