"""Slurm's queue for a workspace: one ``squeue`` for all runs, shared by all requests; a run's job is found by its key."""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from console.hosts.agent.slurm import commands as slurm
from console.hosts.agent.workspace import KEY, Workspace, read_json

FRESH_S = 2.0
CONFIRM_GONE_S = 2.0  # a job missing from the queue must still be missing this much later before it counts as gone
ENDED_BY_SLURM = frozenset(
    ["BOOT_FAIL", "CANCELLED", "DEADLINE", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"]
)
ENDED_STATES = ENDED_BY_SLURM | {"COMPLETED", "FAILED"}
WAITING_STATES = frozenset(["PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"])


class Entry(NamedTuple):
    """A job in Slurm's queue: its id, such as 12, or 12_0 in an array; its state; why it waits or ended."""

    job: str
    state: str
    reason: str


class QueueSnapshot(NamedTuple):
    """The queue as one ``squeue`` showed it: entries by launch key; ``error`` is why Slurm did not answer.

    ``began`` and ``ended`` are of the call, by the monotonic clock.
    """

    began: float
    ended: float
    entries: dict[str, list[Entry]]
    error: str = ""

    def live(self, key: str) -> list[Entry]:
        """The jobs of a launch that wait or run."""
        return [entry for entry in self.entries.get(key, []) if entry.state not in ENDED_STATES]


class Queue:
    """Reads the queue for a workspace's runs; thread-safe."""

    def __init__(self, arrays: Path) -> None:
        self._arrays = arrays
        self._tasks: dict[str, list[str]] = {}
        self._snapshot: QueueSnapshot | None = None
        self._missing_since: dict[str, float] = {}
        self._querying = threading.Lock()
        self._refreshing = threading.Lock()

    def latest(self) -> QueueSnapshot:
        """The last snapshot; an old one is renewed in the background. Only the very first call waits for Slurm."""
        snapshot = self._snapshot
        if snapshot is None:
            return self.newer_than(time.monotonic())
        if time.monotonic() - snapshot.ended >= FRESH_S and self._refreshing.acquire(blocking=False):
            threading.Thread(target=self._refresh, daemon=True).start()
        return snapshot

    def newer_than(self, since: float) -> QueueSnapshot:
        """A snapshot whose call began at ``since`` (monotonic) or later."""
        with self._querying:
            if self._snapshot is None or self._snapshot.began < since:
                self._snapshot = self._query()
            return self._snapshot

    def has_left(self, key: str, snapshot: QueueSnapshot) -> bool:
        """Whether no job of a launch waits or runs: it is missing from ``snapshot`` and from one some time before.

        One snapshot is no proof: Slurm lists a job for a moment neither under its old state nor under its new one.
        """
        if snapshot.live(key):
            self._missing_since.pop(key, None)
            return False
        return snapshot.began - self._missing_since.setdefault(key, snapshot.began) >= CONFIRM_GONE_S

    def _refresh(self) -> None:
        try:
            self.newer_than(time.monotonic())
        finally:
            self._refreshing.release()

    def _query(self) -> QueueSnapshot:
        began = time.monotonic()
        entries: dict[str, list[Entry]] = {}
        try:
            listed = slurm.list_jobs()
        except (slurm.NoAnswer, slurm.Rejected) as error:
            return QueueSnapshot(began, time.monotonic(), {}, str(error))
        for job, state, reason, comment in listed:
            key = self._key_of(job, comment)
            if key is not None:
                entries.setdefault(key, []).append(Entry(job, state, reason))
        return QueueSnapshot(began, time.monotonic(), entries)

    def _key_of(self, job: str, comment: str) -> str | None:
        """The launch key of a job: its comment, or for a task of an array the key at its index in the array's list."""
        if not KEY.match(comment):
            return None
        _, is_task, index = job.partition("_")
        if not is_task:
            return comment
        if comment not in self._tasks:
            self._tasks[comment] = array_keys(self._arrays, comment)
        keys = self._tasks[comment]
        return keys[int(index)] if index.isdigit() and int(index) < len(keys) else None


@lru_cache(maxsize=None)  # noqa: UP033 - the host may have Python 3.8
def queue_of(workspace: Workspace) -> Queue:
    """The one Queue of a workspace in this process."""
    return Queue(workspace.arrays)


def array_keys(arrays: Path, array: str) -> list[str]:
    """Launch keys of an array by index; empty if it is of another workspace."""
    return [str(key) for key in (read_json(arrays / f"{array}.json") or {}).get("keys", [])]
