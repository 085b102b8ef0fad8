"""The claim of a launch: made once for each key before anything is started.

The new run folder and the job's files are prepared first; ``job.json`` commits the claim; from then on every process that
looks can complete it (``lifecycle``). What a claim that was interrupted before that has prepared is discarded.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from console.hosts.agent import job_processes
from console.hosts.agent.launches import Launch, live_launches, settle
from console.hosts.agent.lifecycle import PLACEMENT, Present, may_claim, next_step
from console.hosts.agent.locks import queue_locked
from console.hosts.agent.run_states import current_state, is_active
from console.hosts.agent.state_file import valid_state
from console.hosts.agent.workspace import ABORT, JOB, LOCK, SLURM_JOB, UNDONE, Refused, Workspace, read_json, write_json
from engine.contract.durable import write_durably, writing_durably
from engine.contract.file_lock import is_locked, locked, take_lock
from engine.contract.run_folder import STATE

BUSY_TIMEOUT_S = 10.0
T = TypeVar("T")


class Claim(NamedTuple):
    """A launch that may be started.

    Attributes:
        lock: descriptor of the job's lock, held since before the run became visible: it never looks unsupervised.
    """

    launch: Launch
    run_folder: Path
    lock: int

    @property
    def key(self) -> str:
        return self.launch.key

    @property
    def job(self) -> Path:
        """The job's folder."""
        return self.launch.folder

    def release(self) -> None:
        """Close this process's copy of the lock; a process that inherited it still holds it."""
        os.close(self.lock)

    def undo(self) -> None:
        """Undo the claim: the key can be claimed again, and the earlier run is back in its folder."""
        with queue_locked(self.launch.workspace):
            (self.job / JOB).rename(self.job / UNDONE)
            settle(self.launch, self.lock, queue_is_locked=True)


class Existing(NamedTuple):
    """A launch that was not claimed: the run is what it is, under ``key`` and in ``state``; "" if there is none."""

    key: str
    state: str


class Busy(Exception):
    """Another process is working on a launch of the same run; it will not take long."""


def claim(workspace: Workspace, request: dict[str, Any]) -> Claim | Existing:
    """Claim ``request["key"]``, unless it is claimed already, the run is active, or is not what the operator saw.

    Raises:
        Refused: a name in the request could lead out of the workspace, or the earlier run is not sealed in time.
    """
    key, folder, run = str(request["key"]), str(request["folder"]), str(request["run"])
    workspace.job(key)
    run_folder = workspace.run(folder, run)
    return with_queue_locked(workspace, lambda: _claim(workspace, request, key, run_folder))


def with_queue_locked(workspace: Workspace, work: Callable[[], T]) -> T:
    """Result of ``work``, called with the queue's lock held, and again for a while as long as it raises Busy.

    Raises:
        Refused: it was busy for too long.
        LockHeld: another process does not give the lock back.
    """
    workspace.prepare()
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            # not held while waiting: a process that works on a launch may need the queue's lock for its next step
            with queue_locked(workspace):
                return work()
        except Busy as busy:
            if time.monotonic() > deadline:
                raise Refused(f"{busy}; try again") from None
            time.sleep(0.02)


def _claim(workspace: Workspace, request: dict[str, Any], key: str, run_folder: Path) -> Claim | Existing:
    """The claim, with the queue's lock held."""
    settle_others(workspace, key, run_folder)
    claimed = (workspace.job(key) / JOB).exists()
    present = present_launch(workspace, run_folder)
    if not may_claim(claimed, present, request.get("replaces"), bool(request.get("sets_aside_results", True))):
        return _existing(workspace, run_folder, key if claimed else present.active or present.key)
    with ExitStack() as held:
        hold_present(workspace, run_folder, present.key, held)
        return _commit(workspace, request, key, run_folder, present.key)


def _commit(workspace: Workspace, request: dict[str, Any], key: str, run_folder: Path, replaces: str) -> Claim:
    """Prepare and commit a claim in place of launch ``replaces``, and put its run folder in place."""
    job = workspace.job(key)
    job.mkdir(mode=0o700, exist_ok=True)  # without a commit, whatever is there is of no use
    with ExitStack() as undo:
        lock = take_lock(job / LOCK, wait=False)
        if lock is None:
            raise Busy("this launch is under way")
        undo.callback(os.close, lock)
        staged = workspace.staged(run_folder, key)
        undo.callback(shutil.rmtree, job, ignore_errors=True)
        undo.callback(shutil.rmtree, staged, ignore_errors=True)
        spec = _prepare(workspace, request, job, run_folder, staged, replaces)
        write_json(job / JOB, spec)  # from here on the launch is claimed, and completed by whoever looks
        undo.pop_all()
    launch = Launch(workspace, key)
    try:
        settle(launch, lock, queue_is_locked=True, start=False)
    except OSError:
        os.close(lock)  # the caretaker goes on where this stopped
        raise
    return Claim(launch, run_folder, lock)


def settle_others(workspace: Workspace, key: str, run_folder: Path) -> None:
    """Complete or undo what interrupted launches of the same run have left.

    Raises:
        Busy: another process has one of them in its hands.
    """
    for launch in live_launches(workspace):
        if launch.run_folder != run_folder and launch.key != key:
            continue
        if launch.is_supervised() or next_step(launch.facts()) not in PLACEMENT:
            continue
        with locked(launch.folder / LOCK, wait=False) as lock:
            if lock is None:
                raise Busy("another launch of this run is under way")
            settle(launch, lock, queue_is_locked=True, start=False)


def present_launch(workspace: Workspace, run_folder: Path) -> Present:
    """The run's present launch; one whose files are gone is found by its living processes."""
    state = valid_state(run_folder)
    key = str(state.get("key", ""))
    active = key if key and is_active(workspace, run_folder, state) else ""
    for launch in live_launches(workspace, run_folder):
        in_slurm = not key and "restart" in launch.spec and _is_in_slurm(workspace, run_folder, launch.key)
        if launch.key != key and (in_slurm or launch.is_supervised()):
            active = active or launch.key
    finished = bool(key) and current_state(workspace, run_folder, state).get("state") == "finished"
    return Present(key, active or next(iter(job_processes.jobs_of(run_folder)), ""), finished)


def _is_in_slurm(workspace: Workspace, run_folder: Path, key: str) -> bool:
    """Whether Slurm has a launch whose recorded state cannot be read: it may wait there without any process."""
    return is_active(workspace, run_folder, {"state": "queued", "key": key, "slurm": {}})


def _existing(workspace: Workspace, run_folder: Path, key: str) -> Existing:
    state = valid_state(run_folder)
    if state.get("key") != key:
        return Existing(key, "")
    return Existing(key, str(current_state(workspace, run_folder, state).get("state", "")))


def hold_present(workspace: Workspace, run_folder: Path, key: str, held: ExitStack) -> int | None:
    """Hold the lock of a run's present launch ``key`` until ``held`` is closed; returns its descriptor, None without one.

    Whoever records or seals its end holds it too, and must not write to the run that is put in its place meanwhile.

    Raises:
        Busy: another process has it.
    """
    if is_locked(run_folder):  # also one whose job's lock was deleted is not moved then
        raise Busy("the end of the run before it is still being recorded")
    if not workspace.is_key(key):
        return None
    launch = Launch(workspace, key)
    if launch.is_supervised():
        launch.continue_stopped()
        raise Busy("the end of the run before it is still being recorded")
    try:
        lock = take_lock(launch.folder / LOCK, wait=False)
    except OSError:  # its job's folder is gone
        return None
    if lock is None:
        raise Busy("the end of the run before it is still being recorded")
    held.callback(os.close, lock)
    return lock


def _prepare(
    workspace: Workspace, request: dict[str, Any], job: Path, run_folder: Path, staged: Path, replaces: str
) -> dict[str, Any]:
    """Write the new run folder, beside its place, and the job's files; returns the content of ``job.json``.

    Args:
        replaces: key of the present launch, which alone is set aside; "" if it has none that can be read.
    """
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True, mode=0o700)
    previous = None
    if run_folder.exists():
        previous = free_name(run_folder.parent / ".previous", run_folder.name, replaces)
        _copy_checkpoint(run_folder, staged, request)
    for name, text in dict(request.get("files", {})).items():
        if Path(name).name != name or name in (JOB, UNDONE, LOCK, ABORT, SLURM_JOB):
            raise Refused(f"not a file name for a job: {name!r}")
        write_durably(job / name, text.encode())
    ticket = _next_ticket(workspace)
    write_json(workspace.ticket, {"ticket": ticket})
    state = {
        "state": "queued",
        "key": job.name,
        "ticket": ticket,
        "settings": str(request.get("settings", "")),
        "queued_at": time.time(),
    }
    argv = [str(part) for part in request["argv"]]
    for name, folder in (("workspace", workspace.root), ("job", job), ("run", run_folder)):
        argv = [part.replace("{" + name + "}", str(folder)) for part in argv]
    spec = {
        "key": job.name,
        "ticket": ticket,
        "slots": int(request.get("slots", 1)),
        "argv": argv,
        "env": dict(request.get("env", {})),
        "environment": list(map(str, request.get("environment", ()))),  # names: values are nowhere on the disk
        "notify": request.get("notify"),  # what a message needs but its URLs, which are not written here
        "run_folder": str(run_folder),
        "replaces": replaces,
        "previous": str(previous) if previous else "",
    }
    if request.get("gpu") is not None:
        spec["gpu"] = dict(request["gpu"])
    if request.get("slurm") is not None:
        state["slurm"] = {}  # marks a run under Slurm; its supervisor adds the node and the job's id
        spec["restart"] = dict(request.get("restart", {}))
    write_json(staged / STATE, state)
    return spec


def _next_ticket(workspace: Workspace) -> int:
    """A ticket behind those of all live launches, even if the file that counts them is lost or cannot be read."""
    last = (read_json(workspace.ticket) or {}).get("ticket")
    tickets = [launch.ticket for launch in live_launches(workspace)]
    return max([*tickets, last if isinstance(last, int) else 0]) + 1


def free_name(previous: Path, run: str, key: str) -> Path:
    """Free name in ``previous`` for launch ``key`` of a run that is set aside; it may have no key that can be read."""
    name = f"{run}-{key if Workspace.is_key(key) else f'unknown-{time.time_ns()}'}"
    path, number = previous / name, 0
    while path.exists():
        number += 1
        path = previous / f"{name}.{number}"
    return path


def _copy_checkpoint(previous: Path, run_folder: Path, request: dict[str, Any]) -> None:
    """Copy the files to resume from, if the earlier run had the same settings; its own folder stays complete."""
    settings = valid_state(previous).get("settings")
    if not settings or settings != request.get("settings"):
        return
    for name in request.get("carry", ()):
        if Path(name).name != name:
            raise Refused(f"not a file name of a run: {name!r}")
        source = previous / name
        if source.is_file() and not source.is_symlink():
            with open(source, "rb") as file, writing_durably(run_folder / name) as copy:
                shutil.copyfileobj(file, copy)
