"""Limits of a command's wait: for ended runs to be synced, and for lost runs to be taken back. They end with a reason."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from console.commands.output import report
from console.runs.snapshot import Snapshot, sync_status
from console.session import Session
from engine.contract.settings import RunId

NO_PROGRESS_S = 60.0
TAKEN_BACK_S = 600.0
CHECK_EVERY_S = 1.0


class WaitLimit:
    """Waits for changes of a session, and gives up on runs that have ended or are lost, after a while without progress.

    Progress is a run that ends or is synced, and every byte of a pull. A lost run whose supervisor stands still is waited
    for longer. The time without a link does not count: a lost link says so by itself.

    Args:
        runs: those that are waited for.
        clock: seconds, monotonic.
    """

    def __init__(self, session: Session, runs: Iterable[RunId], clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._runs = frozenset(runs)
        self._clock = clock
        self._changed = asyncio.Event()
        self._most: dict[tuple[RunId, str, str], int] = {}
        self._waiting: frozenset[RunId] = frozenset()
        self._lost_for: dict[RunId, float] = {}
        self._idle, self._checked_at = 0.0, clock()
        session.subscribe(lambda _: self._changed.set())

    @property
    def given_up(self) -> frozenset[RunId]:
        """Runs that are not worth waiting for any longer; ended ones only if nothing of them makes progress."""
        lost = frozenset(run for run, seconds in self._lost_for.items() if seconds >= TAKEN_BACK_S)
        return lost | self._waiting if self._idle >= NO_PROGRESS_S else lost

    async def wait(self) -> None:
        """Wait for the next change of the session, at most a second."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_EVERY_S):
                await self._changed.wait()
        self._changed.clear()
        self.update(self._session.snapshot)

    def update(self, snapshot: Snapshot) -> None:
        """Note the progress in ``snapshot``, and the time without any while the link is up."""
        now = self._clock()
        passed = now - self._checked_at if snapshot.host.link == "up" else 0.0
        lost = [run for run in self._runs if snapshot.runs[run].may_be_taken_back]
        self._lost_for = {run: self._lost_for[run] + passed if run in self._lost_for else 0.0 for run in lost}
        waiting = self._runs.intersection(sync_status(snapshot).not_synced)
        progress = waiting != self._waiting
        for run in waiting:
            view, sync = snapshot.runs[run], snapshot.sync_states[run]
            # the most bytes of each: a pull that fails and begins again and again is no progress
            part = (run, view.state.key if view.state else "", sync.status)
            if sync.bytes_done > self._most.get(part, 0):
                self._most[part], progress = sync.bytes_done, True
        self._idle = 0.0 if progress or not waiting else self._idle + passed
        self._waiting, self._checked_at = waiting, now

    def report_given_up(self, snapshot: Snapshot) -> None:
        """Report each run that is given up, with the reason."""
        for run in sorted(self.given_up):
            report(
                f"{run.label}: {not_synced_reason(snapshot, run)}; given up after {NO_PROGRESS_S:.0f} s without progress"
            )


def not_synced_reason(snapshot: Snapshot, run: RunId) -> str:
    """Why an ended run is not synced, for people."""
    if note := snapshot.sync_states[run].note:
        return note
    if snapshot.local_writer:
        return f"not synced: {snapshot.local_writer} writes the local runs folder"
    return "not synced: its pull does not proceed"
