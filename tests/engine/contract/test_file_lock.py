"""The lock between processes: one holds it, the others see its note, and death frees it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.contract.file_lock import FileLock, take_lock

HOLD = """
import sys, time
from pathlib import Path
from engine.contract.file_lock import FileLock
with FileLock(Path(sys.argv[1])) as lock:
    lock.note("3 7")
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_waiting_process_sees_the_holders_note_until_the_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "made" / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    lock = FileLock(path, poll_seconds=0.01)
    waiting = lock.waiting()
    assert next(waiting) == "3 7"
    holder.kill()
    holder.wait()
    assert set(waiting) <= {"3 7"}
    with lock:
        other = FileLock(path).waiting()
        assert next(other) == ""
        other.close()
    with FileLock(path):
        pass


def test_an_abandoned_wait_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with FileLock(path):
        waiting = FileLock(path).waiting()
        next(waiting)
        waiting.close()
    with FileLock(path):
        pass


def test_a_lock_on_a_file_that_was_deleted_meanwhile_is_taken_on_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = take_lock(path, wait=False)
    assert first is not None
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(take_lock, path, wait=True)
        while not is_waited_for(path):
            assert not waiting.done()
        path.unlink()
        second = take_lock(path, wait=False)
        assert second is not None, "another file"
        os.close(first)
        while not is_waited_for(path):
            assert not waiting.done(), "two processes would hold the lock"
        os.close(second)
        third = waiting.result(10)
    assert third is not None and take_lock(path, wait=False) is None
    os.close(third)


def is_waited_for(path: Path) -> bool:
    """Whether a thread waits for the lock, as the kernel lists it."""
    inode = f":{path.stat().st_ino} "
    return any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())
