"""The lock of the host's queue: held for moments, while the folders of a run are moved or the next run gets its slot."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from console.hosts.agent import process
from console.hosts.agent.workspace import QueueHeld, Workspace
from engine.contract.file_lock import take_lock

TIMEOUT_S = 20.0
STOPPED_TIMEOUT_S = 1.0  # a process that a signal has stopped does not give the lock back while one waits
TRY_EVERY_S = 0.01


@contextmanager
def queue_locked(workspace: Workspace, timeout: float = TIMEOUT_S) -> Iterator[None]:
    """Hold the queue's lock within the block; waits for it up to ``timeout`` seconds.

    Who was stopped by a signal while holding the lock is continued: it holds up everybody, and no command could end that,
    since a supervisor may hold it after its run has ended.

    Raises:
        QueueHeld: another process does not give it back.
    """
    began = time.monotonic()
    while (lock := take_lock(workspace.queue_lock, wait=False)) is None:
        waited = time.monotonic() - began
        if waited > min(timeout, STOPPED_TIMEOUT_S):
            holders = process.lock_holders(workspace.queue_lock)
            stats = ((process.read_stat(holder["pid"]), holder["pid"]) for holder in holders)
            names = process.named((stat.name, pid) for stat, pid in stats if stat) or "an unknown process"
            for holder in filter(process.stopped, holders):
                process.send_signal(holder, signal.SIGCONT)
            if waited > timeout:
                raise QueueHeld(f"the queue has been held for {waited:.0f} s by {names}")
        time.sleep(TRY_EVERY_S if waited < STOPPED_TIMEOUT_S else 10 * TRY_EVERY_S)
    try:
        yield
    finally:
        os.close(lock)
