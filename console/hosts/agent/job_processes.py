"""The processes of a job, however they try to leave it: found by key, session, parents and open files; ended, counted."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from console.hosts.agent.process import (
    FOLDER_VARIABLE,
    KEY_VARIABLE,
    ProcessStat,
    ProcessTable,
    alive,
    boot_id,
    named,
    read_strings,
    reap,
    send_signal,
)

FREEZE_TIMEOUT_S = 1.0
KILL_TIMEOUT_S = 5.0
SCAN_EVERY_S = 3.0
SUPERVISE = frozenset(("supervise", "supervise-allocation"))  # programs of the agent that supervise a job


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
        if pid != os.getpid() and key in (line := read_strings(pid, "cmdline")) and SUPERVISE.intersection(line)
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
