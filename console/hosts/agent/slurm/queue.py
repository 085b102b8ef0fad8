"""Slurm's queue for a workspace: one ``squeue`` for all runs, shared by all requests.

A run's job is known by its launch key, which is its comment and the name of its folder; and by its id, as recorded when it
was submitted or as it began: clusters rewrite or drop comments.
"""

from __future__ import annotations

import re
import threading
import time
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from console.hosts.agent.slurm import commands as slurm
from console.hosts.agent.workspace import SLURM_JOB, Workspace, read_json

FRESH_S = 2.0
CONFIRM_GONE_S = 2.0  # a job missing from the queue must still be missing this much later before it counts as gone
ENDED_BY_SLURM = frozenset(
    ["BOOT_FAIL", "CANCELLED", "DEADLINE", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"]
)
ENDED_STATES = ENDED_BY_SLURM | {"COMPLETED", "FAILED"}
KEY_IN_COMMENT = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
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

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tasks: dict[str, list[str]] = {}
        self._job_ids: dict[str, str] = {}  # by launch key
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
        keys_by_id = {job: key for key, job in self._read_job_ids().items()}
        for job in listed:
            # an id counts last: a controller that lost its state gives the same ones again
            key = self._key_of(job) or keys_by_id.get(job.job)
            if key is not None:
                entries.setdefault(key, []).append(Entry(job.job, job.state, job.reason))
        return QueueSnapshot(began, time.monotonic(), entries)

    def _key_of(self, job: slurm.ListedJob) -> str | None:
        """The launch key in a job's folder or comment; for a task of an array the key at its index in the array's list."""
        folder = PurePosixPath(job.folder)
        found = KEY_IN_COMMENT.search(job.comment)
        _, is_task, index = job.job.partition("_")
        if folder.parent.name in ("jobs", "ended", "arrays") and Workspace.is_key(folder.name):
            name = folder.name
        elif found:
            name = found[0]
        else:
            return None
        if not is_task:
            return name
        if name not in self._tasks:
            self._tasks[name] = array_keys(self._workspace.arrays, name)
        keys = self._tasks[name]
        return keys[int(index)] if index.isdigit() and int(index) < len(keys) else None

    def _read_job_ids(self) -> dict[str, str]:
        """Ids of the jobs of all live launches, by key, as recorded."""
        try:
            keys = [path.name for path in self._workspace.jobs.iterdir()]
        except OSError:
            return {}
        known = self._job_ids
        self._job_ids = {key: known.get(key) or recorded_job(self._workspace.jobs / key) for key in keys}
        return {key: job for key, job in self._job_ids.items() if job}


@lru_cache(maxsize=None)  # noqa: UP033 - the host may have Python 3.8
def queue_of(workspace: Workspace) -> Queue:
    """The one Queue of a workspace in this process."""
    return Queue(workspace)


def recorded_job(job: Path) -> str:
    """Id of the Slurm job of a launch, as recorded in its folder ``job``; "" if it is not."""
    return str((read_json(job / SLURM_JOB) or {}).get("job") or "")


def array_keys(arrays: Path, array: str) -> list[str]:
    """Launch keys of an array by index; empty if it is of another workspace."""
    return [str(key) for key in (read_json(arrays / f"{array}.json") or {}).get("keys", [])]
