"""Preflight in the UI: its state, one check when the host is first connected, checks on request, and repairs."""

from __future__ import annotations

import time
from collections import Counter

from msgspec.structs import replace
from textual import on
from textual.reactive import var
from textual.worker import Worker, WorkerState

from console.format import counted, size
from console.hosts.preflight.checks import ENVIRONMENT_CPU, ENVIRONMENT_CUDA, Check, Repair, worst_status
from console.runs.snapshot import HostView, Link
from console.ui.commands import CommandApp, Notice
from console.ui.messages import ENDED, RepairRequested
from console.ui.session_protocol import SessionProtocol
from console.ui.state import PreflightState, RepairProgress


def worst_check_index(checks: tuple[Check, ...]) -> int:
    """Index of the first blocker, else of the first warning, else 0."""
    return next((index for index, check in enumerate(checks) if check.status == worst_status(checks)), 0)


def checks_summary_text(checks: tuple[Check, ...]) -> str:
    """``1 blocker, 2 warnings``; ``all checks ok`` without any."""
    counts = Counter(check.status for check in checks)
    concerns = [counted(counts[status], status) for status in ("blocker", "warning") if counts[status]]
    return ", ".join(concerns) or "all checks ok"


def repair_question(repair: Repair, host: HostView) -> tuple[str, str]:
    """The question before a repair, and the label of its yes."""
    target = f"{host.title} ({host.address})" if host.address else host.title
    if repair == "wordnet":
        return f"Fetch WordNet 3.0 on {target}, into the engine's installation there.", "fetch it"
    if repair == "requirements":
        return (
            f"Install what the pushed requirements.txt names into the engine's environment on {target}, downloaded by the "
            "host. Packages that the engine needs keep their versions."
        ), "install it"
    folder = f"{host.facts.workspace}/env" if host.facts else "the folder env of the workspace"
    needed = ENVIRONMENT_CUDA if host.facts and host.facts.gpus else ENVIRONMENT_CPU
    question = (
        f"Make the engine's environment on {target}, in {folder}: a virtual environment with the engine and PyTorch, "
        f"up to {size(needed)}, downloaded by the host. It takes minutes. Nothing else on the host is changed."
    )
    return question, "make it"


class PreflightCommands(CommandApp, inherit_bindings=False):
    """App mixin that runs preflights and repairs and keeps their state."""

    preflight_state = var(PreflightState(), init=False)
    _link: Link = "starting"

    def preflight_is_visible(self) -> bool:
        """Whether the view with the checks is shown; a notice of their result would only cover them."""
        raise NotImplementedError

    def update_link(self, link: Link) -> None:
        """Start a preflight when the host is connected, until one has succeeded."""
        connected = link == "up" != self._link
        self._link = link
        if connected and self.session is not None and self.preflight_state.checked_at is None:
            self._start_preflight(self.session)

    def action_check_again(self) -> None:
        session = self.open_session() if self.asks_host() else None
        if session is not None:
            if not self.preflight_state.repairing:
                self.preflight_state = replace(self.preflight_state, repair=None)  # its result was read by now
            self._start_preflight(session)

    def _start_preflight(self, session: SessionProtocol) -> None:
        if self.preflight_state.started_at is not None:
            return
        self.preflight_state = replace(self.preflight_state, started_at=time.monotonic())
        self.run_worker(session.upkeep.preflight(), name="preflight", group="preflight", exit_on_error=False)

    @on(Worker.StateChanged)
    def _preflight_ended(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "preflight":
            return
        if event.state is WorkerState.ERROR:
            self.preflight_state = self.preflight_state.failed(str(event.worker.error))
        elif event.state is WorkerState.SUCCESS:
            first = self.preflight_state.checked_at is None
            checks: tuple[Check, ...] = event.worker.result or ()
            self.preflight_state = self.preflight_state.finished(checks, time.monotonic())
            if first and worst_status(checks) == "blocker" and not self.preflight_is_visible():
                self.show_notice(f"Preflight: {checks_summary_text(checks)}; see view 1.", "warning")

    @on(RepairRequested)
    def _repair(self, message: RepairRequested) -> None:
        check, repair = message.check, message.check.repair
        session = self.session_for("repair")
        if session is None:
            return
        if repair is None:
            self.show_notice(f"{check.name}: the console cannot repair this.")
            return
        question, yes_label = repair_question(repair, session.snapshot.host)
        self.confirm(question, yes_label, lambda: self._start_repair(session, check, repair))

    def _start_repair(self, session: SessionProtocol, check: Check, repair: Repair) -> None:
        self.preflight_state = replace(self.preflight_state, repair=RepairProgress(check.name, time.monotonic()))

        async def run() -> Notice:
            step = "done"
            async for step in session.upkeep.repair(repair):
                self.preflight_state = self.preflight_state.with_repair(step=step)
            return f"{check.name}: {step}", "information"

        self.run_command("repair", f"repairing {check.name}", run())

    @on(Worker.StateChanged)
    def _repair_ended(self, event: Worker.StateChanged) -> None:
        """Record the end and check again, whatever the outcome."""
        if event.worker.name != "repair" or event.state not in ENDED:
            return
        errors = {WorkerState.ERROR: str(event.worker.error), WorkerState.CANCELLED: "no longer waited for"}
        error = errors.get(event.state, "")
        self.preflight_state = self.preflight_state.with_repair(ended_at=time.monotonic(), error=error)
        if self.session is not None:
            self._start_preflight(self.session)
