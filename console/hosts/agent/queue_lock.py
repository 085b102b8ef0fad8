"""The lock of the host's queue: held for moments, while the folders of a run are moved or the next run gets its slot."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from console.hosts.agent import process
from console.hosts.agent.workspace import QueueHeld, Workspace
from engine.contract.file_lock import take_lock

TIMEOUT_S = 20.0
STOPPED_TIMEOUT_S = 1.0  # a process that a signal has stopped does not give the lock back while one waits
TRY_EVERY_S = 0.01
LOCKS = Path("/proc/locks")


@contextmanager
def queue_locked(workspace: Workspace, timeout: float = TIMEOUT_S) -> Iterator[None]:
    """Hold the queue's lock within the block; waits for it up to ``timeout`` seconds.

    Raises:
        QueueHeld: another process does not give it back.
    """
    began = time.monotonic()
    while (lock := take_lock(workspace.queue_lock, wait=False)) is None:
        waited = time.monotonic() - began
        if waited > min(timeout, STOPPED_TIMEOUT_S):
            pid = _holder(workspace.queue_lock)
            stat = process.read_stat(pid) if pid else None
            if stat is not None and stat.state == "T":
                raise QueueHeld(f"the queue is held by process {pid} ({stat.name}), {process.STOPPED}")
            if waited > timeout:
                raise QueueHeld(f"the queue has been held for {waited:.0f} s by process {pid or 'unknown'}")
        time.sleep(TRY_EVERY_S if waited < STOPPED_TIMEOUT_S else 10 * TRY_EVERY_S)
    try:
        yield
    finally:
        os.close(lock)


def _holder(path: Path) -> int | None:
    """Pid of the process that holds the lock on ``path``; None if it cannot be told."""
    with suppress(OSError, ValueError, IndexError):
        inode = str(path.stat().st_ino)
        for line in LOCKS.read_text().splitlines():
            fields = line.split()  # number, FLOCK, ADVISORY, WRITE, pid, device:inode, start, end
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
                return int(fields[4])
    return None
