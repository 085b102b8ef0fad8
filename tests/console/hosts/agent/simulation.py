"""The agent's modules on the simulated host: what each of them uses of the machine is replaced while a simulation runs."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console.hosts.agent import (
    abort,
    caretaker,
    claims,
    disk,
    gpu,
    job_processes,
    jobs,
    launches,
    locks,
    process,
    restore,
    run_record,
    run_states,
    state_file,
    supervisor,
    workspace,
)
from console.hosts.agent.process import FOLDER_VARIABLE, KEY_VARIABLE, ProcessStat
from engine.contract import durable, file_lock, run_folder
from tests.console.hosts.agent import simulated_files as files
from tests.console.hosts.agent.simulated_files import SimPath
from tests.console.hosts.agent.simulated_host import HOST, File, Machine, Process, here

MODULES = (
    *(abort, caretaker, claims, job_processes, jobs, launches, locks, process),
    *(restore, run_record, run_states, state_file, supervisor, workspace),
)
RECORDED = run_states.RECORDED
OWN: list[tuple[object, Callable[[], Any]]] = [
    (caretaker.CARETAKER, caretaker.Caretaker),
    (run_states.HEARTBEATS, run_states.HeartbeatWatch),
    (run_states.RECORDED, lambda: state_file.Remembered(RECORDED._read, RECORDED._is_final)),
    (job_processes.COUNTS, job_processes.ProcessCounts),
    (launches.UNRECORDED, dict),
]
"""What each process has of its own."""


def read_stat(pid: int) -> ProcessStat | None:
    HOST.step()
    found = HOST.processes.get(pid)
    if found is None:
        return None
    return ProcessStat(found.kind, "T" if found.stopped else "S", found.parent, found.session, found.start)


def send_signal(identity: dict[str, Any] | None, number: int) -> bool:
    HOST.step(change=True)
    if not process.alive(identity):
        return False
    assert identity is not None
    HOST.signal(HOST.processes[identity["pid"]], number)
    return True


class ProcessTable(process.ProcessTable):
    """The simulated processes as /proc would show them."""

    def __init__(self) -> None:
        HOST.step()
        self.stats = {pid: stat for pid in list(HOST.processes) if (stat := read_stat(pid)) is not None}

    def having(self, variable: str) -> dict[str, set[int]]:
        name = {KEY_VARIABLE: "key", FOLDER_VARIABLE: "folder"}[variable]
        found: dict[str, set[int]] = {}
        for one in HOST.processes.values():
            if value := getattr(one, name):
                found.setdefault(value, set()).add(one.pid)
        return found

    def writing_below(self, folder: Any) -> set[int]:
        return set()


def command_line(pid: int, name: str) -> list[str]:
    found = HOST.processes.get(pid)
    return ["supervise", found.supervises] if found and found.supervises else []


def start_detached(root: SimPath, program: str, name: str, lock: int, log: SimPath, *_: str) -> bool:
    HOST.step(change=True)
    if log.node is None:
        HOST.need_space(for_a_name=True)
        log.folder()[log.name] = File()
    HOST.start_supervisor(str(root), name, lock)
    HOST.step(change=True)  # it runs, but whoever started it may not learn that
    return True


class Job:
    """A job's main process as its supervisor sees it; stands for ``subprocess.Popen``."""

    def __init__(self, argv: Any, *, env: dict[str, str], pass_fds: list[int] = (), **_: Any) -> None:  # type: ignore[assignment]
        HOST.step(change=True)
        self.process = Process(HOST, "job", here().pid)
        self.process.key, self.process.folder = env[KEY_VARIABLE], env.get(FOLDER_VARIABLE, "")
        for number in pass_fds:
            opened = HOST.descriptors[number]
            assert opened is not None
            opened.owners.add(self.process)
        self.pid = self.process.pid
        HOST.on_start(self.process)
        HOST.step(change=True)

    def poll(self) -> int | None:
        HOST.step()
        return self.process.code if self.process.dead else None


def select_ready(readers: Any, _w: Any, _x: Any, seconds: float) -> tuple[list[int], list[int], list[int]]:
    if not here().pending:
        HOST.sleep(seconds)
    else:
        HOST._resumed(HOST.current)  # type: ignore[arg-type]
    return [], [], []


class PerProcess:
    """Stands for a global object of a module, of which each simulated process has its own."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def _mine(self) -> Any:
        own = here().own
        if self not in own:
            own[self] = self._make()
        return own[self]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mine(), name)

    def __contains__(self, key: object) -> bool:
        return key in self._mine()

    def __getitem__(self, key: object) -> Any:
        return self._mine()[key]

    def __setitem__(self, key: object, value: Any) -> None:
        self._mine()[key] = value

    def __delitem__(self, key: object) -> None:
        del self._mine()[key]


class Mutex:
    """Stands for ``threading.Lock`` between threads of a simulated process."""

    def __init__(self) -> None:
        self.held = False

    def __enter__(self) -> None:
        HOST.step()
        HOST.wait_while(lambda: self.held)
        self.held = True

    def __exit__(self, *_: object) -> None:
        self.held = False


def replacements() -> list[tuple[object, object]]:
    """What the agent's modules use of the machine -> what the simulated host has instead."""
    clock = Machine(
        monotonic=lambda: HOST.now,
        time=lambda: HOST.now + HOST.clock_offset,
        time_ns=lambda: int(HOST.now * 1e9) + HOST.changes,
        sleep=HOST.sleep,
    )
    operating_system = Machine(
        path=Machine(lexists=lambda path: path.exists(), realpath=str),
        environ={},
        open=files.open_file,
        **{name: getattr(os, name) for name in dir(os) if name.startswith("O_")},
        close=files.close,
        getpid=lambda: here().pid,
        pipe=lambda: (0, 0),
        read=lambda *_: b"",
        write=lambda *_: 0,
        set_blocking=lambda *_: None,
    )
    signals = Machine(
        **{name: getattr(signal, name) for name in dir(signal) if name.startswith("SIG") or name == "Signals"},
        signal=lambda number, handler: here().handlers.__setitem__(number, handler),  # noqa: PLW0108
        set_wakeup_fd=lambda *_, **__: None,
    )
    processes = Machine(Popen=Job, DEVNULL=0, STDOUT=0, SubprocessError=subprocess.SubprocessError)
    return [
        (Path, SimPath),
        (workspace.read_json, files.read_json),
        (workspace.load_json, files.load_json),
        (workspace.write_json, files.write_json),
        (workspace.last_line, lambda _: ""),
        (workspace.error_line, lambda _: ""),
        (restore.exchange, files.exchange),
        (durable.write_durably, files.write_durably),
        (durable.sync_folder, lambda _: None),
        (file_lock.take_lock, files.take_lock),
        (file_lock.take_folder_lock, files.take_folder_lock),
        (file_lock.is_locked, files.is_locked),
        (file_lock.locked, files.locked),
        (run_folder.build_manifest, manifest),
        (process.read_stat, read_stat),
        (process.boot_id, lambda: HOST.boot),
        (process.send_signal, send_signal),
        (process.ProcessTable, ProcessTable),
        (process.lock_holders, files.lock_holders),
        (process.start_detached, start_detached),
        (process.detach, lambda _: None),
        (process.become_subreaper, lambda: None),
        (process.reap, lambda: None),
        (process.read_strings, command_line),
        (disk.disk_space, lambda _: Machine(is_full=HOST.full)),
        (gpu, Machine(release_text=lambda _: "")),
        (os, operating_system),
        (time, clock),
        (signal, signals),
        (subprocess, processes),
        (select, Machine(select=select_ready)),
        (shutil, Machine(rmtree=files.rmtree)),
        (threading, Machine(Lock=Mutex)),
    ]


def manifest(folder: SimPath, key: str) -> dict[str, Any]:
    HOST.step()
    return {"key": key}


@contextmanager
def simulation() -> Iterator[None]:
    """The agent's modules use the simulated host within the block."""
    by_identity = {id(real): fake for real, fake in replacements()}
    own = {id(value): PerProcess(make) for value, make in OWN}
    before = [
        (module, name, value) for module in MODULES for name, value in vars(module).items() if id(value) in by_identity
    ]
    for module, name, value in before:
        setattr(module, name, by_identity[id(value)])
    for module in MODULES:
        for name, value in list(vars(module).items()):
            if id(value) in own:
                before.append((module, name, value))
                setattr(module, name, own[id(value)])
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
