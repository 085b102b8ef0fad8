"""Processes that cannot be mistaken: identity by pid, start time and boot, and signals sent to nobody else."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

PROC = Path("/proc")
MARK = "QLLM_JOB_KEY"
_PR_SET_CHILD_SUBREAPER = 36


class Sweep(NamedTuple):
    """What came of ending a job: whether every process of it is gone, and the pids that there were."""

    gone: bool
    pids: frozenset[int]

    @property
    def remark(self) -> str:
        return "" if self.gone else "; some of its processes could not be killed"


def boot_id() -> str:
    """The id of this boot; a pid recorded under another one names nobody."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on (the name before it may hold anything); None if there is no such pid."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def identity(pid: int) -> dict[str, Any]:
    """The identity of a living process: pid, start time in clock ticks since boot, boot id.

    Raises:
        ProcessLookupError: it is gone.
    """
    fields = _stat(pid)
    if fields is None:
        raise ProcessLookupError(pid)
    return {"pid": pid, "start": int(fields[19]), "boot": boot_id()}


def alive(who: dict[str, Any] | None) -> bool:
    """Whether that very process still runs; a zombie does not, nor does a stranger with its pid."""
    if not who or who.get("boot") != boot_id():
        return False
    fields = _stat(int(who["pid"]))
    return fields is not None and int(fields[19]) == who["start"] and fields[0] not in "ZX"


def send(who: dict[str, Any] | None, number: int) -> bool:
    """Signal that very process; False if it is gone. The pidfd pins it, so that no stranger can take its pid between."""
    if not who:
        return False
    try:
        pin = os.pidfd_open(int(who["pid"]))
    except ProcessLookupError:
        return False
    except (AttributeError, OSError):  # an old kernel: the check alone must do
        if not alive(who):
            return False
        os.kill(int(who["pid"]), number)
        return True
    try:
        if not alive(who):
            return False
        signal.pidfd_send_signal(pin, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(pin)


def become_subreaper() -> None:
    """Orphans below this process become its children, so that none escapes by a double fork."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap() -> None:
    """Collect children that have ended, adopted ones too."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def members(key: str, root: int | None, session: int | None) -> list[dict[str, Any]]:
    """Every living process of a job: descendants of ``root``, processes of ``session``, and those marked with ``key``."""
    mark = f"{MARK}={key}".encode()
    parents: dict[int, int] = {}
    found: set[int] = set()
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        fields = _stat(pid)
        if fields is None or fields[0] in "ZX":
            continue
        parents[pid] = int(fields[1])
        if (session is not None and int(fields[3]) == session) or mark in _environment(entry):
            found.add(pid)
    if root is not None:
        found |= _descendants(parents, root)
    found -= {os.getpid(), root or 0}
    return [who for who in map(_identity_or_none, sorted(found)) if who]


def end_all(key: str, root: int | None, session: int | None, grace: float) -> Sweep:
    """TERM every process of a job, wait up to ``grace`` seconds, KILL what is left, until none is."""
    deadline = time.monotonic() + grace
    pids: set[int] = set()

    def left() -> list[dict[str, Any]]:
        if root == os.getpid():
            reap()
        found = members(key, root, session)
        pids.update(who["pid"] for who in found)
        return found

    for who in left():
        send(who, signal.SIGTERM)
    while time.monotonic() < deadline:
        if not left():
            return Sweep(True, frozenset(pids))
        time.sleep(0.05)
    for _ in range(100):  # killing may race with forking: look again until nobody is left
        found = left()
        if not found:
            return Sweep(True, frozenset(pids))
        for who in found:
            send(who, signal.SIGKILL)
        time.sleep(0.05)
    return Sweep(False, frozenset(pids))


def _environment(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _descendants(parents: dict[int, int], root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    queue = list(children.get(root, ()))
    while queue:
        pid = queue.pop()
        found.add(pid)
        queue += children.get(pid, ())
    return found


def _identity_or_none(pid: int) -> dict[str, Any] | None:
    try:
        return identity(pid)
    except ProcessLookupError:
        return None
