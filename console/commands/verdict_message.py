"""Message with the verdict over all runs, sent from this machine once they have ended and are synced."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from console.commands.output import report
from console.commands.run import all_over
from console.hosts.remote.notify import send_from_here
from console.runs.sent_messages import outcomes_text
from console.runs.snapshot import Snapshot
from console.runs.transitions import all_ended_text
from console.session import Session
from engine.contract.durable import write_durably

MARK = ".verdict-sent"


class VerdictMessage:
    """Sends the verdict, once for the same launches: a mark in the local runs folder is written before.

    Args:
        urls: of the services, as in the host's entry; without any, nothing is done.
        folder: the experiment's local folder.
    """

    def __init__(self, session: Session, urls: tuple[str, ...], folder: Path) -> None:
        self._session = session
        self._urls = urls
        self._mark = folder / MARK
        self._sending: asyncio.Task[None] | None = None

    def update(self, snapshot: Snapshot) -> None:
        """Begin to send if ``snapshot`` shows that all launched runs have ended for good and are synced."""
        if not self._urls or (self._sending is not None and not self._sending.done()):
            return
        launched = {run: view.state.key for run, view in snapshot.runs.items() if view.state is not None}
        if launched and snapshot.host.runs_reported and all_over(snapshot, launched):
            keys = hashlib.sha256("\n".join(sorted(launched.values())).encode()).hexdigest()
            if self._take(keys):
                self._sending = asyncio.create_task(self._send(snapshot))

    async def sent(self) -> None:
        """Return once what was begun to be sent is sent, or has failed."""
        if self._sending is not None:
            await self._sending

    def _take(self, keys: str) -> bool:
        """Mark the verdict over the launches with this hash as sent; False if it was, or that cannot be written."""
        try:
            if self._mark.exists() and self._mark.read_text(encoding="utf-8").strip() == keys:
                return False
            write_durably(self._mark, f"{keys}\n".encode())
        except (OSError, ValueError) as error:
            report(f"the verdict is not sent: {self._mark} cannot be written: {getattr(error, 'strerror', error)}")
            self._urls = ()
            return False
        return True

    async def _send(self, snapshot: Snapshot) -> None:
        try:
            await self._compute_and_send(snapshot)
        except Exception as error:  # noqa: BLE001 - it must not end what waits for the runs
            report(f"the verdict was not sent: {type(error).__name__}")

    async def _compute_and_send(self, snapshot: Snapshot) -> None:
        verdict = (await asyncio.to_thread(self._session.report)).analysis
        title = f"{snapshot.folder}: {all_ended_text(snapshot)}: {verdict.verdict}"
        outcomes = await send_from_here(self._urls, title, f"{verdict.summary}\n{snapshot.host.title}")
        failed = tuple(one for one in outcomes if one.error)
        if len({one.error for one in failed}) == 1 and len(failed) == len(outcomes):
            report(f"the verdict was not sent: {failed[0].error}")
        else:
            report(f"the verdict was not sent: {outcomes_text(outcomes)}" if failed else "the verdict was sent")
