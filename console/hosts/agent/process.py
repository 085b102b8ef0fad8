"""Processes by an identity that survives reuse of pids: pid, start time and boot; signals to them, and what /proc says of all."""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import stat as stat_modes
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from engine.contract.durable import write_durably

PROC = Path("/proc")
KEY_VARIABLE = "QLLM_JOB_KEY"  # in the environment of each process of a job, inherited whatever it forks
FOLDER_VARIABLE = "QLLM_RUN_FOLDER"  # as well: living jobs of a run are found though every file on them is lost
START_TIMEOUT_S = 20.0
PYTHON = (sys.executable, "-IS")  # sees the standard library and the shipped file, no module of the user's
STOPPED = "stopped by a signal (SIGCONT continues it)"
_LIBC = ctypes.CDLL(None, use_errno=True)  # loaded now: the child of a fork must not load libraries
_PR_SET_CHILD_SUBREAPER = 36


class ProcessStat(NamedTuple):
    """What /proc says of one process.

    Attributes:
        name: of its program, cut to 15 characters.
        state: one letter; Z and X: it has ended, T: a signal has stopped it.
        start: in clock ticks since boot.
    """

    name: str
    state: str
    parent: int
    session: int
    start: int

    @property
    def living(self) -> bool:
        return self.state not in "ZX"


def boot_id() -> str:
    """The id of this boot; a pid recorded under another boot means nothing."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def read_stat(pid: int) -> ProcessStat | None:
    """The process with ``pid``; None if there is none."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")  # the name may itself hold spaces and parentheses
    fields = rest.split()
    return ProcessStat(name, fields[0], int(fields[1]), int(fields[3]), int(fields[19]))


def identity(pid: int) -> dict[str, Any]:
    """Identity of a living process: ``pid``, ``start`` in clock ticks since boot, ``boot`` id.

    Raises:
        ProcessLookupError: it is gone.
    """
    stat = read_stat(pid)
    if stat is None:
        raise ProcessLookupError(pid)
    return {"pid": pid, "start": stat.start, "boot": boot_id()}


def alive(identity: dict[str, Any] | None) -> bool:
    """Whether this very process still runs; a zombie does not, nor does another process with its pid."""
    stat = _stat_of(identity)
    return stat is not None and stat.living


def stopped(identity: dict[str, Any] | None) -> bool:
    """Whether a signal has stopped this very process, so that it stands still until it gets SIGCONT."""
    stat = _stat_of(identity)
    return stat is not None and stat.state == "T"


def _stat_of(identity: dict[str, Any] | None) -> ProcessStat | None:
    if not isinstance(identity, dict) or identity.get("boot") != boot_id() or not isinstance(identity.get("pid"), int):
        return None
    stat = read_stat(identity["pid"])
    return stat if stat is not None and stat.start == identity.get("start") else None


def send_signal(identity: dict[str, Any] | None, number: int) -> bool:
    """Signal this very process; False if it is gone, or belongs to a user who may not be signalled."""
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
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        if handle is not None:
            os.close(handle)


def stored_program(root: Path) -> Path:
    """The shipped file on the disk; it is written now if this agent had to be started from memory.

    Raises:
        OSError: there still is no room for it.
    """
    program = Path(sys.argv[0])
    if PROC not in program.parents:
        return program
    content = program.read_bytes()
    stored = root / "agent" / f"{hashlib.sha256(content).hexdigest()}.pyz"
    if not stored.exists():
        for folder in (root, stored.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(stored, content)
    return stored


def lock_holders(path: Path) -> list[dict[str, Any]]:
    """Identities of this user's processes that hold the ``flock`` on ``path``, as the kernel knows them."""
    found = []
    with suppress(OSError):
        lock = path.stat()
        for line in (PROC / "locks").read_text().splitlines():
            fields = line.split()  # number, FLOCK, ADVISORY, WRITE, pid, major:minor:inode, first and last byte
            # not the device: on some file systems it is not that of stat
            if len(fields) < 6 or fields[1] != "FLOCK" or fields[5].rpartition(":")[2] != str(lock.st_ino):
                continue
            with suppress(OSError):  # it has ended meanwhile
                holder = identity(int(fields[4]))
                if _has_open(holder["pid"], lock):
                    found.append(holder)
    return found


def _has_open(pid: int, file: os.stat_result) -> bool:
    for _, link, _ in _open_files(pid):
        with suppress(OSError):  # closed meanwhile
            if os.path.samestat(link.stat(), file):
                return True
    return False


def start_detached(root: Path, program: str, name: str, lock: int, log: Path, *arguments: str) -> bool:
    """Start ``program`` of the shipped file, which outlives this process; returns whether it started in time.

    It inherits the descriptor ``lock``, so that at no moment nobody holds the lock. Its output is appended to ``log``.
    """
    with open(log, "ab") as output:
        command = [*PYTHON, str(stored_program(root)), program, str(root), name, str(lock), *arguments]
        starter = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=[lock],
            cwd=root,
        )
    try:
        return starter.wait(START_TIMEOUT_S) == 0
    except subprocess.TimeoutExpired:  # as when a signal has stopped it
        starter.kill()
        starter.wait()
        return False


def detach(lock: int) -> None:
    """Fork and go on in the child: the first step of what ``start_detached`` starts, which waits for the parent only."""
    os.set_inheritable(lock, False)  # its own children must not hold the lock: they may outlive it
    if os.fork():
        os._exit(0)


def become_subreaper() -> None:
    """Make orphaned descendants children of this process, so that none escapes by a double fork; ``execve`` keeps it."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap() -> None:
    """Collect children that have ended, adopted ones too: a zombie would count as left of its job."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def named(processes: Iterable[tuple[str, int]]) -> str:
    """Processes, each a name and a pid, for people: ``python3 (12, 14), sh (13)``."""
    pids: dict[str, list[int]] = {}
    for name, pid in sorted(processes):
        pids.setdefault(name, []).append(pid)
    return ", ".join(f"{name} ({', '.join(map(str, numbers))})" for name, numbers in pids.items())


class ProcessTable:
    """The living processes as /proc shows them at one moment, and the marks by which those of a job are known."""

    def __init__(self) -> None:
        pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
        stats = ((pid, read_stat(pid)) for pid in pids)
        self.stats = {pid: stat for pid, stat in stats if stat is not None and stat.living}
        self._variables: dict[str, dict[str, set[int]]] | None = None
        self._open_files: list[tuple[str, Path, int]] | None = None

    def families(self, roots: Iterable[int]) -> set[int]:
        """``roots`` with all their descendants."""
        children: dict[int, list[int]] = {}
        for pid, stat in self.stats.items():
            children.setdefault(stat.parent, []).append(pid)
        found: set[int] = set()
        waiting = list(roots)
        while waiting:
            pid = waiting.pop()
            if pid not in found:
                found.add(pid)
                waiting += children.get(pid, ())
        return found

    def having(self, variable: str) -> dict[str, set[int]]:
        """Each value of KEY_VARIABLE or FOLDER_VARIABLE -> the processes that have it in their environment."""
        if self._variables is None:
            self._variables = {KEY_VARIABLE: {}, FOLDER_VARIABLE: {}}
            for pid in self.stats:
                for entry in read_strings(pid, "environ"):
                    name, _, value = entry.partition("=")
                    if name in self._variables:
                        self._variables[name].setdefault(value, set()).add(pid)
        return self._variables[variable]

    def writing_below(self, folder: Path) -> set[int]:
        """Processes with a file below ``folder`` open for writing; hidden ones are temporary files, of the agent too."""
        if self._open_files is None:
            self._open_files = [entry for pid in self.stats for entry in _open_files(pid)]
        below = f"{os.path.realpath(folder)}/"
        found = set()
        for target, link, pid in self._open_files:
            if target.startswith(below) and not Path(target).name.startswith("."):
                with suppress(OSError):
                    if link.lstat().st_mode & stat_modes.S_IWUSR:
                        found.add(pid)
        return found


def read_strings(pid: int, name: str) -> list[str]:
    """The strings of ``environ`` or ``cmdline``; none if the process is gone, or another user's."""
    try:
        return os.fsdecode((PROC / str(pid) / name).read_bytes()).split("\0")
    except OSError:
        return []


def _open_files(pid: int) -> list[tuple[str, Path, int]]:
    """Path, link in /proc and pid for each file that the process has open."""
    found = []
    with suppress(OSError):
        for link in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                target = os.readlink(link)  # noqa: PTH115 - Path.readlink is not in Python 3.8
                if target.startswith("/") and not target.startswith("/dev/"):
                    found.append((target, link, pid))
    return found
