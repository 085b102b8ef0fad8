"""A console and a host whose agent, caretaker and supervisors run the product's code on ``simulated_host``.

The model decides nothing itself: it plans, keeps keys, claims, settles, supervises and aborts by the code of the product,
and watches what that does.
"""

from __future__ import annotations

import errno
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
from typing import Any, cast

from console.hosts.agent import (
    abort,
    caretaker,
    claims,
    disk,
    gpu,
    job_processes,
    jobs,
    launches,
    process,
    queue_lock,
    restore,
    run_states,
    state_file,
    supervisor,
    workspace,
)
from console.hosts.pull.follower import _reported_state
from console.runs.launch_attempts import LaunchAttempts
from console.runs.launch_plan import LaunchPlan, plan_abort, plan_launch
from console.runs.run_view import RunView
from engine.contract import durable, file_lock, run_folder
from engine.contract.run_folder import EXIT, MANIFEST, SEALED, STATE
from engine.contract.settings import RunId
from tests.console.hosts.agent import simulated_host as simulated
from tests.console.hosts.agent.simulated_host import (
    HOST,
    Broken,
    File,
    Folder,
    Process,
    SimPath,
    Thread,
    new_host,
)

MODULES = (
    abort,
    caretaker,
    claims,
    job_processes,
    jobs,
    launches,
    process,
    queue_lock,
    restore,
    run_states,
    state_file,
    supervisor,
    workspace,
)
ROOT, EXPERIMENT = "/w", "experiment"
RUNS = (RunId("A", 1), RunId("A", 2), RunId("B", 1))
ROUNDS = 700  # within which everything that was requested is over: the longest wait is 20 s in steps of 0.1 s
RECORDED = run_states.RECORDED
OWN: list[tuple[object, Callable[[], Any]]] = [
    (caretaker.CARETAKER, caretaker.Caretaker),
    (run_states.HEARTBEATS, run_states.HeartbeatWatch),
    (run_states.RECORDED, lambda: state_file.Remembered(RECORDED._read, RECORDED._is_final)),
    (job_processes.COUNTS, job_processes.ProcessCounts),
    (launches.UNRECORDED, dict),
]
"""What each process has of its own."""


def replacements() -> list[tuple[object, object]]:
    """What the agent's modules use of the machine -> what the simulated host has instead."""
    clock = simulated.Machine(
        monotonic=lambda: simulated.HOST.now,
        time=lambda: simulated.HOST.now + simulated.HOST.clock_offset,
        time_ns=lambda: int(simulated.HOST.now * 1e9) + simulated.HOST.changes,
        sleep=lambda seconds: simulated.HOST.sleep(seconds),  # noqa: PLW0108 - HOST is another one later
    )
    operating_system = simulated.Machine(
        path=simulated.Machine(lexists=lambda path: path.exists(), realpath=str),
        environ={},
        open=simulated.open_file,
        **{name: getattr(os, name) for name in dir(os) if name.startswith("O_")},
        close=simulated.close,
        getpid=lambda: simulated.here().pid,
        pipe=lambda: (0, 0),
        read=lambda *_: b"",
        write=lambda *_: 0,
        set_blocking=lambda *_: None,
    )
    signals = simulated.Machine(
        **{name: getattr(signal, name) for name in dir(signal) if name.startswith("SIG") or name == "Signals"},
        signal=lambda number, handler: simulated.here().handlers.__setitem__(number, handler),  # noqa: PLW0108
        set_wakeup_fd=lambda *_, **__: None,
    )
    processes = simulated.Machine(Popen=simulated.Job, DEVNULL=0, STDOUT=0, SubprocessError=subprocess.SubprocessError)
    return [
        (Path, SimPath),
        (workspace.read_json, simulated.read_json),
        (workspace.load_json, simulated.load_json),
        (workspace.write_json, simulated.write_json),
        (workspace.last_line, lambda _: ""),
        (restore.exchange, simulated.exchange),
        (durable.write_durably, simulated.write_durably),
        (durable.sync_folder, lambda _: None),
        (file_lock.take_lock, simulated.take_lock),
        (file_lock.is_locked, simulated.is_locked),
        (file_lock.locked, simulated.locked),
        (run_folder.build_manifest, manifest),
        (process.read_stat, simulated.read_stat),
        (process.boot_id, lambda: simulated.HOST.boot),
        (process.send_signal, simulated.send_signal),
        (process.ProcessTable, simulated.ProcessTable),
        (process.lock_holders, simulated.lock_holders),
        (process.start_detached, simulated.start_detached),
        (process.detach, lambda _: None),
        (process.become_subreaper, lambda: None),
        (process.reap, lambda: None),
        (process.read_strings, simulated.command_line),
        (disk.disk_space, lambda _: simulated.Machine(is_full=simulated.HOST.full)),
        (gpu, simulated.Machine(release_text=lambda _: "")),
        (os, operating_system),
        (time, clock),
        (signal, signals),
        (subprocess, processes),
        (select, simulated.Machine(select=simulated.select)),
        (shutil, simulated.Machine(rmtree=simulated.rmtree)),
        (threading, simulated.Machine(Lock=simulated.Mutex)),
    ]


def manifest(folder: SimPath, key: str) -> dict[str, Any]:
    simulated.HOST.step()
    return {"key": key}


@contextmanager
def simulation() -> Iterator[None]:
    """The agent's modules use the simulated host within the block."""
    by_identity = {id(real): fake for real, fake in replacements()}
    own = {id(value): simulated.PerProcess(make) for value, make in OWN}
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


class Model:
    """The host, the console, and what was seen of them."""

    def __init__(self, slots: int) -> None:
        self.host = new_host()
        self.host.start_supervisor = self._start_supervisor
        self.host.on_start, self.host.on_rename = self._on_start, self._on_rename
        self.host.on_delete, self.host.on_write = self._on_delete, self._on_write
        self.workspace = workspace.Workspace(cast(Path, SimPath(ROOT)))
        self.host.root["w"] = Folder()
        self.slots = slots
        self.runs_of: dict[str, str] = {}  # key -> run
        self.requested: set[tuple[str, str]] = set()  # (run, key of a launch whose results may be set aside)
        self.finished: set[str] = set()
        self.sealed: set[str] = set()
        self.claimed: dict[str, str] = {}  # key -> run, as committed
        self.started: set[str] = set()
        self.away: dict[str, Folder] = {}
        self.keys = 0
        self.agent: Process | None = None
        self.looking: Thread | None = None
        self.console_starts()

    # the console

    def console_starts(self) -> None:
        self.attempts = LaunchAttempts(self._new_key)
        self.views: dict[RunId, RunView] | None = None
        self.plan: LaunchPlan | None = None
        self.connect()

    def _new_key(self) -> str:
        self.keys += 1
        return f"{self.keys:032x}"

    def connect(self) -> None:
        """A new link and with it a new agent; what the old one has begun, it finishes."""
        self.disconnect()
        self.agent = Process(self.host, "agent", 1)

    def disconnect(self) -> None:
        if self.agent is not None:
            self.agent.leaving = True  # type: ignore[attr-defined]
            self._leave(self.agent)
        self.agent, self.looking = None, None

    def _leave(self, agent: Process) -> None:
        """An agent without a link ends as soon as its requests are finished; its caretaker does not delay it."""
        if not [one for one in agent.threads if one.name not in ("look", "poll")]:
            self.host.exit(agent)

    def connected(self) -> Process:
        if self.agent is None or self.agent.dead:
            self.connect()
        assert self.agent is not None
        return self.agent

    def request(self, name: str, work: Callable[[], Any], answered: Callable[[dict[str, Any]], None]) -> Thread:
        """Send a request; ``answered`` gets its answer unless the link is cut or the agent killed before."""
        agent, views = self.connected(), self.attempts

        def serve() -> None:
            try:
                reply = {"ok": work()}
            except workspace.Refused as refused:
                reply = {"refused": str(refused)}
            except Exception as error:  # noqa: BLE001 - as the agent does
                reply = {"error": repr(error)}
            thread.reply = reply  # type: ignore[attr-defined]

        def deliver() -> None:
            if self.agent is agent and self.attempts is views:
                answered(thread.reply)  # type: ignore[attr-defined]
            elif getattr(agent, "leaving", False) and not agent.dead:
                self._leave(agent)

        thread = Thread(agent, name, serve)
        thread.deliver = deliver  # type: ignore[attr-defined]
        return thread

    def poll(self) -> None:
        def answered(reply: dict[str, Any]) -> None:
            states = reply.get("ok", {})
            known = {run: _reported_state(states[str(run)]) for run in RUNS if str(run) in states}
            self.views = {run: RunView(run, state=known.get(run)) for run in RUNS}

        names = [str(run) for run in RUNS]
        thread = self.request("poll", lambda: run_states.current_states(self.workspace, EXPERIMENT, names), answered)

        self.resume(thread)

    def make_plan(self, wanted: tuple[RunId, ...], restart: bool) -> LaunchPlan:
        if self.views is None:
            self.poll()
        return plan_launch(self.views or {}, wanted, same_settings=frozenset(RUNS), restart=restart)

    def launch(self, plan: LaunchPlan, undo: bool = False) -> Thread | None:
        if not plan.launch or self.views is None:
            return None
        self.connected()
        attempts = {run: self.attempts.attempt(run, plan.replaces.get(run, "")) for run in plan.launch}
        requests = []
        for run, attempt in attempts.items():
            self.runs_of[attempt.key] = str(run)
            if run in plan.results_aside:
                self.requested.add((str(run), attempt.replaces))
            requests.append(
                {"key": attempt.key, "replaces": attempt.replaces, "folder": EXPERIMENT, "run": str(run)}
                | {"slots": self.slots, "settings": "s", "files": {}, "argv": ["job"]}
            )

        def answered(reply: dict[str, Any]) -> None:
            if "ok" in reply:
                for run, answer in zip(plan.launch, reply["ok"]["outcomes"], strict=False):
                    self.attempts.outcome(run, attempts[run].key, answer)

        work = (
            (lambda: self._refuse(requests))
            if undo
            else (lambda: jobs.launch_all(self.workspace, {"requests": requests}))
        )
        return self.request("launch", work, answered)

    def _refuse(self, requests: list[dict[str, Any]]) -> dict[str, Any]:
        """Claim launches that their launcher refuses then, as Slurm may."""
        for request in requests:
            claimed = claims.claim(self.workspace, request)
            if isinstance(claimed, claims.Claim):
                self.claimed.pop(claimed.key, None)
                try:
                    claimed.undo()
                finally:
                    claimed.release()
        return {"outcomes": [{"refused": "by the launcher"}] * len(requests)}

    def abort(self, wanted: tuple[RunId, ...]) -> list[Thread]:
        if self.views is None:
            self.poll()
        views = self.views or {}
        keys = [state.key for run in plan_abort(views, wanted).abort if (state := views[run].state) is not None]
        return [
            self.request("abort", lambda key=key: abort.abort(self.workspace, {"key": key, "by": "me"}), lambda _: None)  # type: ignore[misc]
            for key in keys
        ]

    def restore(self, run: RunId, which: int) -> Thread | None:
        """Bring back a run that was set aside."""
        previous = self.host.lookup(("w", "runs", EXPERIMENT, ".previous"))
        found = [name for name in previous if name.startswith(f"{run}-")] if isinstance(previous, Folder) else []
        state = self.views[run].state if self.views else None
        if not found or state is None:
            return None
        self.requested.add((str(run), state.key))
        key = found[which % len(found)][len(str(run)) + 1 :]
        request = {"folder": EXPERIMENT, "run": str(run), "key": key, "replaces": state.key}
        return self.request("restore", lambda: restore.restore(self.workspace, request), lambda _: None)

    # the host

    def look(self) -> None:
        """The agent's caretaker looks."""
        if self.looking is None or self.looking.done or self.looking.process.dead:
            self.looking = Thread(self.connected(), "look", lambda: caretaker.CARETAKER.look(self.workspace))

    def resume(self, thread: Thread, steps: int = simulated.ANY_STEPS, until_change: bool = False) -> None:
        self.host.resume(thread, steps, until_change)
        if thread.done and not thread.process.dead and hasattr(thread, "deliver"):
            thread.deliver()

    def _start_supervisor(self, root: str, key: str, lock: int) -> None:
        started = Process(self.host, "supervisor", 1)
        started.supervises = key
        opened = self.host.descriptors.get(lock)
        assert opened is not None, "it inherits the lock"
        opened.owners.add(started)
        Thread(started, "supervise", lambda: supervisor.main(root, key, str(lock)))

    def jobs(self) -> list[Process]:
        return [one for one in self.host.processes.values() if one.key]

    # invariants, checked as it happens

    def _on_start(self, job: Process) -> None:
        key = job.key
        require(key not in self.started, f"{key} is started a second time")
        self.started.add(key)
        run = self.runs_of[key]
        others = [one.key for one in self.jobs() if one is not job and self.runs_of[one.key] == run]
        require(not others, f"{run} is started while {others} runs")

    def _on_rename(self, source: SimPath, target: SimPath, node: Folder | File) -> None:
        if type(node) is not Folder or source.parts[:3] != ("w", "runs", EXPERIMENT) or source.parts[3][0] == ".":
            return
        key = key_in(node)
        if target.parts[3] == ".launching":
            require(key not in self.started, "a launch that started is taken back")
        if target.parts[3] == ".previous":
            finished = key in self.finished
            require(not finished or (source.name, key) in self.requested, f"finished {key} is set aside unasked")

    def _on_delete(self, path: SimPath, _: File) -> None:
        if path.parts[:3] == ("w", "runs", EXPERIMENT) and path.parts[3] != ".launching" and path.name[0] != ".":
            require(False, f"{path} is deleted")

    def _on_write(self, path: SimPath, value: Any) -> None:
        if path.parts[:2] == ("w", "jobs") and path.name == "job.json":
            key, run = value["key"], value["run_folder"].rpartition("/")[2]
            require(key not in self.claimed, f"{key} is claimed again")
            require(self.runs_of[key] == run, f"{key} becomes {run}")
            self.claimed[key] = run
        elif path.name in (EXIT, STATE, MANIFEST) and path.parts[1] == "runs":
            folder = path.folder()
            owner = key_in(folder)
            require(not owner or owner == value["key"], f"{path.name} of {value['key']} is written to {owner}")
            require(not (MANIFEST in folder and path.name != MANIFEST), f"{path.name} is written to a capsule")
            if path.name == EXIT and value["state"] == "finished":
                self.finished.add(value["key"])
            if path.name == MANIFEST:
                self.sealed.add(value["key"])

    def check_capsules(self) -> None:
        """Every capsule is somewhere, once."""
        runs = self.host.lookup(("w", "runs", EXPERIMENT))
        folders: list[Any] = list(self.away.values())
        if isinstance(runs, Folder):
            folders += [folder for name, folder in runs.items() if name[0] != "."]
            folders += list(runs.get(".previous", Folder()).values())  # type: ignore[union-attr]
        found = [folder[MANIFEST].content["key"] for folder in folders if MANIFEST in folder]
        assert len(found) == len(set(found)), "a capsule is there twice"
        assert self.sealed <= set(found), f"lost capsules: {self.sealed - set(found)}"


def require(holds: bool, text: str) -> None:
    """Raise Broken with ``text`` unless an invariant ``holds``."""
    if not holds:
        raise Broken(text)


def key_in(folder: Folder) -> str:
    """Key of the launch whose run folder it is."""
    state = folder.get(STATE)
    return str(state.content["key"]) if isinstance(state, File) and isinstance(state.content, dict) else ""


__all__ = ["ENOSPC", "EXPERIMENT", "HOST", "ROUNDS", "RUNS", "SEALED", "Model", "simulation"]
ENOSPC = errno.ENOSPC
