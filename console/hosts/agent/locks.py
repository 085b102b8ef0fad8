"""Locks that are held for moments: the queue's, while folders of runs are moved or slots taken, and each run folder's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from console.hosts.agent import process
from console.hosts.agent.workspace import LockHeld, Workspace
from engine.contract.file_lock import take_folder_lock, take_lock

TIMEOUT_S = 20.0
STOPPED_TIMEOUT_S = 1.0  # a process that a signal has stopped does not give the lock back while one waits
TRY_EVERY_S = 0.01


@contextmanager
def queue_locked(workspace: Workspace, timeout: float = TIMEOUT_S) -> Iterator[None]:
    """Hold the queue's lock within the block; waits for it up to ``timeout`` seconds.

    Raises:
        LockHeld: another process does not give it back.
    """
    path = workspace.queue_lock
    lock = _wait_for(lambda: take_lock(path, wait=False), path, "the queue", timeout)
    try:
        yield
    finally:
        os.close(lock)


@contextmanager
def run_locked(run_folder: Path, timeout: float = TIMEOUT_S) -> Iterator[None]:
    """Hold the lock on a run folder within the block: nobody else records an end there, seals it or moves it meanwhile.

    It needs no file, so that neither a full disk nor a deletion of anything but the run itself affects it. Who needs the
    queue's lock too takes that first. Between machines that share a network file system the job's lock alone counts.

    Raises:
        LockHeld: another process does not give it back.
        OSError: the folder is gone.
    """
    lock = _wait_for(lambda: take_folder_lock(run_folder, wait=False), run_folder, f"run {run_folder.name}", timeout)
    try:
        yield
    finally:
        os.close(lock)


def _wait_for(take: Callable[[], int | None], path: Path, what: str, timeout: float) -> int:
    """The descriptor that ``take`` returns once the lock on ``path`` is free.

    Who was stopped by a signal while holding the lock is continued: it holds up everybody, and no command could end that,
    since a supervisor may hold it after its run has ended.
    """
    began = time.monotonic()
    while (lock := take()) is None:
        waited = time.monotonic() - began
        if waited > min(timeout, STOPPED_TIMEOUT_S):
            holders = process.lock_holders(path)
            stats = ((process.read_stat(holder["pid"]), holder["pid"]) for holder in holders)
            names = process.named((stat.name, pid) for stat, pid in stats if stat) or "an unknown process"
            for holder in filter(process.stopped, holders):
                process.send_signal(holder, signal.SIGCONT)
            if waited > timeout:
                raise LockHeld(f"{what} has been held for {waited:.0f} s by {names}")
        time.sleep(TRY_EVERY_S if waited < STOPPED_TIMEOUT_S else 10 * TRY_EVERY_S)
    return lock
