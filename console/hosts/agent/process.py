"""Processes by an identity that survives reuse of pids: pid, start time and boot. Finds, signals and ends those of a job."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

PROC = Path("/proc")
KEY_VARIABLE = "QLLM_JOB_KEY"  # in the environment of each process of a job, inherited whatever it forks
MAX_KILLS = 100  # a process may fork between the listing and its kill: repeated until none is left
_PR_SET_CHILD_SUBREAPER = 36


class Termination(NamedTuple):
    """Result of ending a job: whether all of its processes are gone, and the pids that it had."""

    complete: bool
    pids: frozenset[int]

    @property
    def remark(self) -> str:
        return "" if self.complete else "; some of its processes could not be killed"


def boot_id() -> str:
    """The id of this boot; a pid recorded under another boot means nothing."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on; None if there is no such pid."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()  # the name before it may itself hold spaces and parentheses


def identity(pid: int) -> dict[str, Any]:
    """Identity of a living process: ``pid``, ``start`` in clock ticks since boot, ``boot`` id.

    Raises:
        ProcessLookupError: it is gone.
    """
    fields = _stat(pid)
    if fields is None:
        raise ProcessLookupError(pid)
    return {"pid": pid, "start": int(fields[19]), "boot": boot_id()}


def alive(identity: dict[str, Any] | None) -> bool:
    """Whether this very process still runs; a zombie does not, nor does another process with its pid."""
    if not identity or identity.get("boot") != boot_id():
        return False
    fields = _stat(int(identity["pid"]))
    return fields is not None and int(fields[19]) == identity["start"] and fields[0] not in "ZX"


def send_signal(identity: dict[str, Any] | None, number: int) -> bool:
    """Signal this very process; False if it is gone."""
    if not identity:
        return False
    pid, handle = int(identity["pid"]), None
    with suppress(AttributeError, OSError):  # Linux before 5.3 or Python before 3.9: the check alone must do
        handle = os.pidfd_open(pid)  # pins the process: its pid cannot pass to another between the check and the signal
    try:
        if not alive(identity):
            return False
        os.kill(pid, number) if handle is None else signal.pidfd_send_signal(handle, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        if handle is not None:
            os.close(handle)


def start_detached(root: Path, program: str, name: str, lock: int, log: Path, *arguments: str) -> bool:
    """Start ``program`` of the shipped file, which outlives this process; returns whether it started.

    It inherits the descriptor ``lock``, so that at no moment nobody holds the lock. Its output is appended to ``log``.
    """
    with open(log, "ab") as output:
        command = [sys.executable, sys.argv[0], program, str(root), name, str(lock), *arguments]
        starter = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=[lock],
            cwd=root,
        )
    return starter.wait() == 0


def detach(lock: int) -> None:
    """Fork and go on in the child: the first step of what ``start_detached`` starts, which waits for the parent only."""
    os.set_inheritable(lock, False)  # its own children must not hold the lock: they may outlive it
    if os.fork():
        os._exit(0)


def become_subreaper() -> None:
    """Make orphaned descendants children of this process, so that none escapes by a double fork."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap() -> None:
    """Collect children that have ended, adopted ones too: a zombie would count as left of its job."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def job_processes(key: str, root: int | None, session: int | None) -> list[dict[str, Any]]:
    """Identities of all living processes of a job, however they try to leave it.

    Those are the descendants of ``root``, the processes of ``session``, and those with ``key`` in their environment.
    """
    boot, mark = boot_id(), f"{KEY_VARIABLE}={key}".encode()
    running: dict[int, list[str]] = {}
    found: set[int] = set()
    for entry in PROC.iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else None
        if fields is None or fields[0] in "ZX":
            continue
        pid = int(entry.name)
        running[pid] = fields
        if (session is not None and int(fields[3]) == session) or mark in _environment(entry):
            found.add(pid)
    family = set() if root is None else {root}
    while children := {pid for pid, fields in running.items() if int(fields[1]) in family} - family:
        family |= children
    pids = sorted((found | family) - {os.getpid(), root})
    return [{"pid": pid, "start": int(running[pid][19]), "boot": boot} for pid in pids]


def terminate_job(key: str, root: int | None, session: int | None, grace: float) -> Termination:
    """Send SIGTERM to all processes of a job, wait up to ``grace`` seconds, then SIGKILL until none is left."""
    deadline = time.monotonic() + grace
    pids: set[int] = set()

    def remaining() -> list[dict[str, Any]]:
        if root == os.getpid():
            reap()
        found = job_processes(key, root, session)
        pids.update(identity["pid"] for identity in found)
        return found

    for identity in remaining():
        send_signal(identity, signal.SIGTERM)
    kills = 0
    while (found := remaining()) and kills < MAX_KILLS:
        if time.monotonic() >= deadline:
            kills += 1
            for identity in found:
                send_signal(identity, signal.SIGKILL)
        time.sleep(0.05)
    return Termination(not found, frozenset(pids))


def _environment(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
