"""Slurm's queue as far as it is ours: one call for all runs, shared by all who ask, each run found by its key."""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from console.hosts.agent.slurm import commands as slurm
from console.hosts.agent.workspace import KEY, Workspace, read_json

FRESH_S = 2.0
SETTLED_S = 2.0  # a job that Slurm does not have must be missed again this much later before it counts as gone
OVER = frozenset(
    [
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    ]
)
WAITING = frozenset(["PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"])


class Entry(NamedTuple):
    """A job in Slurm's queue: its id, such as 12 or 12_0 in an array, its state and why it waits or ended."""

    job: str
    state: str
    reason: str

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def waits(self) -> bool:
        return self.state in WAITING


class Look(NamedTuple):
    """The queue as one call showed it: entries by launch key. ``error`` says why Slurm gave no answer."""

    began: float
    ended: float
    entries: dict[str, list[Entry]]
    error: str = ""

    def live(self, key: str) -> list[Entry]:
        """What of that launch waits or runs."""
        return [entry for entry in self.entries.get(key, []) if not entry.over]


class Queue:
    """What Slurm's queue shows of a workspace's runs: one call for all of them, shared by all who ask."""

    def __init__(self, arrays: Path) -> None:
        self._arrays = arrays
        self._tasks: dict[str, list[str]] = {}
        self._look: Look | None = None
        self._missed: dict[str, float] = {}
        self._asking = threading.Lock()
        self._refreshing = threading.Lock()

    def latest(self) -> Look:
        """The last look, at most the very first time waiting for one; a stale one is renewed in the background."""
        look = self._look
        if look is None:
            return self.look(time.monotonic())
        if time.monotonic() - look.ended >= FRESH_S and self._refreshing.acquire(blocking=False):
            threading.Thread(target=self._refresh, daemon=True).start()
        return look

    def look(self, since: float) -> Look:
        """A look that began at ``since`` (monotonic) or later."""
        with self._asking:
            if self._look is None or self._look.began < since:
                self._look = self._ask()
            return self._look

    def gone(self, key: str, look: Look) -> bool:
        """Whether nothing of that launch waits or runs: missed once, and again in a later look, both with an answer."""
        if look.live(key):
            self._missed.pop(key, None)
            return False
        return look.began - self._missed.setdefault(key, look.began) >= SETTLED_S

    def _refresh(self) -> None:
        try:
            self.look(time.monotonic())
        finally:
            self._refreshing.release()

    def _ask(self) -> Look:
        began = time.monotonic()
        entries: dict[str, list[Entry]] = {}
        try:
            listed = slurm.listing()
        except (slurm.Silent, slurm.NotTaken) as error:
            return Look(began, time.monotonic(), {}, str(error))
        for job, state, reason, comment in listed:
            key = self._key_of(job, comment)
            if key is not None:
                entries.setdefault(key, []).append(Entry(job, state, reason))
        return Look(began, time.monotonic(), entries)

    def _key_of(self, job: str, comment: str) -> str | None:
        """The launch that a job is: its comment, or for a task of an array the one at its index in the array's list."""
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
    """The workspace's one view of the queue."""
    return Queue(workspace.arrays)


def array_keys(arrays: Path, array: str) -> list[str]:
    """The launches of an array by index; none if it is not one of this workspace."""
    return [str(key) for key in (read_json(arrays / f"{array}.json") or {}).get("keys", [])]
