"""Sync and verification of the local copy on request. Both write nothing on the host, so read-only mode has them too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace
from textual import on
from textual.reactive import var
from textual.worker import Worker, WorkerState

from console.format import counted, size
from console.ui.commands import CommandApp, Notice
from console.ui.messages import ENDED
from console.ui.state import VerifyState

if TYPE_CHECKING:
    from console.hosts.pull.verify import VerifyResult


def verify_notice_text(result: VerifyResult) -> str:
    """The outcome of a verification in one line."""
    if not result.differing:
        return f"Verified: {counted(result.files, 'file')}, {size(result.bytes)}, all match their manifests."
    first, count = result.differing[0], len(result.differing)
    verb = "does" if count == 1 else "do"
    return f"{counted(count, 'file')} {verb} not match: {first.run.label} {first.path}: {first.why}"


class SyncCommands(CommandApp, inherit_bindings=False):
    """App mixin that syncs and verifies the local copy and keeps the state of the verification."""

    verify_state = var(VerifyState(), init=False)

    def action_sync_now(self) -> None:
        session = self.open_session() if self.asks_host() else None
        if session is None:
            return
        result = self.verify_state.result
        if result is not None and result.differing and not self.verify_state.running:
            self.verify_state = VerifyState()  # the files that it is about are replaced

        async def sync_now() -> Notice:
            runs = session.pull_again()
            text = f"Pulling {counted(len(runs), 'run')}." if runs else "Every ended run is synced already."
            return text, "information"

        self.run_command("sync", "syncing", sync_now())

    def action_verify(self) -> None:
        session = self.open_session()
        if session is None or self.verify_state.running:
            return
        self.verify_state = VerifyState(started_at=time.monotonic())

        async def verify() -> None:
            async for result in session.verify_synced():
                self.verify_state = replace(self.verify_state, result=result)

        self.run_worker(verify(), name="verify", group="verify", exit_on_error=False)

    @on(Worker.StateChanged)
    def _verify_ended(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "verify" or event.state not in ENDED:
            return
        error = {WorkerState.ERROR: str(event.worker.error), WorkerState.CANCELLED: "stopped"}.get(event.state, "")
        self.verify_state = replace(self.verify_state, ended_at=time.monotonic(), error=error)
        result = self.verify_state.result
        if result is not None and not error:
            self.show_notice(verify_notice_text(result), "error" if result.differing else "information")
