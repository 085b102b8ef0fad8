"""Processes by an identity that survives reuse of pids: pid, start time and boot. Finds, signals and ends those of a job."""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import stat as stat_modes
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from engine.contract.durable import write_durably

PROC = Path("/proc")
KEY_VARIABLE = "QLLM_JOB_KEY"  # in the environment of each process of a job, inherited whatever it forks
FOLDER_VARIABLE = "QLLM_RUN_FOLDER"  # as well: living jobs of a run are found though every file on them is lost
FREEZE_TIMEOUT_S = 1.0
KILL_TIMEOUT_S = 5.0
START_TIMEOUT_S = 20.0
SCAN_EVERY_S = 3.0
SUPERVISE = frozenset(("supervise", "supervise-allocation"))  # programs of the agent that supervise a job
STOPPED = "stopped by a signal (SIGCONT continues it)"
_LIBC = ctypes.CDLL(None, use_errno=True)  # loaded now: the child of a fork must not load libraries
_PR_SET_CHILD_SUBREAPER = 36


class Termination(NamedTuple):
    """Result of ending a job: pids of all processes that it had, and those that live on, with their names."""

    pids: frozenset[int] = frozenset()
    survivors: tuple[tuple[str, int], ...] = ()

    @property
    def remark(self) -> str:
        """``; could not be ended: python3 (12, 14)``; "" if all have ended."""
        return f"; could not be ended: {named(self.survivors)}" if self.survivors else ""

    @property
    def text(self) -> str:
        """``; 3 processes ended``, with the remark; "" without processes."""
        ended = len(self.pids) - len(self.survivors)
        return (f"; {ended} process{'' if ended == 1 else 'es'} ended" if ended else "") + self.remark


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
        stored.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        command = [sys.executable, str(stored_program(root)), program, str(root), name, str(lock), *arguments]
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
                for entry in _read(pid, "environ"):
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


def _read(pid: int, name: str) -> list[str]:
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


class JobProcesses:
    """The processes of one job, however they try to leave it.

    Those are the descendants of its supervisor or of its main process, the processes of its session, those that have its
    key in their environment, and, once it has no supervisor, those that write to its run folder. What was found stays of
    the job, so that descendants of a process that has ended meanwhile are not lost.

    Args:
        key: "" for all jobs of the run folder.
        supervisor: pid of its supervisor if that is this process; it is none of them.
        main: pid of its living main process.
        run_folder: None: what writes there is not asked.
    """

    def __init__(self, key: str, supervisor: int | None, main: int | None, run_folder: Path | None = None) -> None:
        self._key = key
        self._supervisor = supervisor
        self._main = main
        self._run_folder = run_folder
        self._known: dict[int, int] = {}  # pid -> start

    @property
    def pids(self) -> frozenset[int]:
        """All that were ever found."""
        return frozenset(self._known)

    def find(self, table: ProcessTable | None = None) -> dict[int, ProcessStat]:
        """Those that live, by pid."""
        if self._supervisor == os.getpid():
            reap()
        table = table or ProcessTable()
        roots = {pid for pid, start in self._known.items() if pid in table.stats and table.stats[pid].start == start}
        roots |= table.having(KEY_VARIABLE).get(self._key, set())
        roots |= {pid for pid in (self._supervisor, self._main) if pid is not None}
        roots |= {pid for pid, stat in table.stats.items() if self._main is not None and stat.session == self._main}
        if self._supervisor is None and self._run_folder is not None:
            roots |= table.writing_below(self._run_folder)
            if not self._key:
                roots |= table.having(FOLDER_VARIABLE).get(os.path.realpath(self._run_folder), set())
        family = table.families(roots) - {os.getpid(), self._supervisor}
        found = {pid: table.stats[pid] for pid in family if pid in table.stats}
        self._known.update((pid, stat.start) for pid, stat in found.items())
        return found

    def terminate(self, grace: float) -> Termination:
        """Send SIGTERM to all, wait up to ``grace`` seconds, then SIGKILL until none is left."""
        self._signal(self._freeze(), signal.SIGTERM, signal.SIGCONT)
        deadline = time.monotonic() + grace
        while (found := self.find()) and time.monotonic() < deadline:
            time.sleep(0.05)
        deadline = time.monotonic() + KILL_TIMEOUT_S
        while found and time.monotonic() < deadline:
            self._signal(self._freeze(), signal.SIGKILL)
            time.sleep(0.05)
            found = self.find()
        return Termination(self.pids, tuple((stat.name, pid) for pid, stat in sorted(found.items())))

    def _freeze(self) -> dict[int, ProcessStat]:
        """Stop all, so that none forks unseen, or leaves children behind as it ends, before each has its signal."""
        deadline = time.monotonic() + FREEZE_TIMEOUT_S
        while True:
            found = self.find()
            moving = {pid: stat for pid, stat in found.items() if stat.state not in "Tt"}
            if not moving or time.monotonic() > deadline:
                return found
            self._signal(moving, signal.SIGSTOP)
            time.sleep(0.001)

    @staticmethod
    def _signal(processes: dict[int, ProcessStat], *numbers: int) -> None:
        boot = boot_id()
        for pid, stat in processes.items():
            for number in numbers:
                send_signal({"pid": pid, "start": stat.start, "boot": boot}, number)


def job_processes(key: str, root: int | None, session: int | None) -> list[dict[str, Any]]:
    """Identities of all living processes of a job."""
    boot = boot_id()
    found = JobProcesses(key, root, session).find()
    return [{"pid": pid, "start": stat.start, "boot": boot} for pid, stat in sorted(found.items())]


def terminate_job(
    key: str, root: int | None, session: int | None, grace: float, run_folder: Path | None = None
) -> Termination:
    """End all processes of a job, see ``JobProcesses``."""
    return JobProcesses(key, root, session, run_folder).terminate(grace)


def jobs_of(run_folder: Path) -> frozenset[str]:
    """Keys of the jobs that have living processes and were started for ``run_folder``, whatever files are left of them."""
    table = ProcessTable()
    pids = table.having(FOLDER_VARIABLE).get(os.path.realpath(run_folder), set())
    return frozenset(key for key, others in table.having(KEY_VARIABLE).items() if pids & others)


def folder_of_job(key: str) -> str:
    """The run folder for which a living job was started; "" if no process of it lives, or none tells."""
    table = ProcessTable()
    pids = table.having(KEY_VARIABLE).get(key, set())
    return next((folder for folder, others in table.having(FOLDER_VARIABLE).items() if pids & others), "")


def supervisors_of(key: str) -> list[dict[str, Any]]:
    """Identities of the living supervisors of a job by their command lines: also one that no file records."""
    table, boot = ProcessTable(), boot_id()
    return [
        {"pid": pid, "start": stat.start, "boot": boot}
        for pid, stat in table.stats.items()
        if pid != os.getpid() and key in (line := _read(pid, "cmdline")) and SUPERVISE.intersection(line)
    ]


class ProcessCounts:
    """How many processes of lost runs live. It is asked at every poll: /proc is read every few seconds at most."""

    def __init__(self, scan_every: float = SCAN_EVERY_S) -> None:
        self._scan_every = scan_every
        self._table: ProcessTable | None = None
        self._next_scan = 0.0
        self._found: dict[str, dict[int, int]] = {}  # key or run folder -> pid -> start
        self._lock = threading.Lock()

    def count(self, key: str, job: dict[str, Any] | None, run_folder: Path) -> int:
        """Living processes of the job ``key``, whose recorded main process is ``job``; of any job of the run if it is ""."""
        boot = boot_id()
        if job and job.get("boot") != boot:
            return 0
        main = int(job["pid"]) if job and alive(job) else None
        with self._lock:
            table = self._table
            if table is None or time.monotonic() >= self._next_scan or (main is not None and main not in table.stats):
                began = time.monotonic()
                table = self._table = ProcessTable()
                self._found = {}
                # on a host with very many processes a scan is slow: it never takes more than a small part of the time
                self._next_scan = time.monotonic() + max(self._scan_every, 20 * (time.monotonic() - began))
            name = key or str(run_folder)
            if name not in self._found:
                found = JobProcesses(key, None, main, run_folder).find(table)
                self._found[name] = {pid: stat.start for pid, stat in found.items()}
            members = list(self._found[name].items())
        return sum(alive({"pid": pid, "start": start, "boot": boot}) for pid, start in members)


COUNTS = ProcessCounts()
