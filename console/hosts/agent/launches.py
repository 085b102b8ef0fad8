"""Launches on the disk: their files, and the steps of ``lifecycle`` performed on them, each atomic and durable.

A step needs the job's lock, so that one process at a time works on a launch; a step that moves the folders of a run needs
the queue's lock as well.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from console.hosts.agent import gpu, job_processes, lifecycle, notify, process
from console.hosts.agent.lifecycle import Facts, next_step
from console.hosts.agent.locks import queue_locked, run_locked
from console.hosts.agent.run_record import complete_end, is_capsule, record_end, with_recorded_exit
from console.hosts.agent.state_file import state_problem, valid_state
from console.hosts.agent.workspace import ABORT, JOB, LOCK, UNDONE, NotStarted, Workspace, read_json
from engine.contract.durable import sync_folder
from engine.contract.file_lock import is_locked
from engine.contract.run_folder import ENDED, EXIT, SEALED

GRACE_S = 5.0  # between SIGTERM and SIGKILL
MAX_STEPS = 20
UNRECORDED: dict[str, str] = {}  # reasons of aborts that the disk has not taken yet, by key


class Launch:
    """One claimed key: its job folder, its run folder, and what comes next for it.

    Attributes:
        folder: ``jobs/<key>``; ``ended/<key>`` once it is over.
        run_folder: the run's folder; None before the claim is committed.
    """

    def __init__(self, workspace: Workspace, key: str) -> None:
        self.workspace = workspace
        self.key = key
        self.folder = workspace.job(key)
        self.spec: dict[str, Any] = {}
        self.run_folder: Path | None = None
        self._read_spec()

    def _read_spec(self) -> None:
        self.spec = read_json(self.folder / JOB) or read_json(self.folder / UNDONE) or {}
        folder = self.spec.get("run_folder")
        self.run_folder = Path(folder) if isinstance(folder, str) else None

    @property
    def staged(self) -> Path | None:
        """Where the run folder is prepared, beside its place: a rename does not cross file systems."""
        if self.run_folder is not None:
            return self.workspace.staged(self.run_folder, self.key)
        found = (self.workspace.root / "runs").glob(f"*/.launching/*-{self.key}")
        return next(iter(found), None)  # an interrupted claim left no more than that

    @property
    def ticket(self) -> int:
        """Its position in the queue; 0 if it cannot be read."""
        ticket = self.spec.get("ticket")
        return ticket if isinstance(ticket, int) else 0

    @property
    def previous(self) -> Path | None:
        """Where the run before it was moved; None if there was none."""
        previous = self.spec.get("previous")
        return Path(previous) if previous and isinstance(previous, str) else None

    def state(self) -> dict[str, Any]:
        """The recorded state of its run, staged or in place; empty if that is another launch's, or cannot be read."""
        for folder in (self.staged, self.run_folder):
            state = valid_state(folder) if folder is not None else {}
            if state.get("key") == self.key:
                return state
        return {}

    def is_supervised(self) -> bool:
        """Whether a process holds the job's lock, or its recorded supervisor lives although the lock's file is gone."""
        return is_locked(self.folder / LOCK) or process.alive(self.state().get("supervisor"))

    def continue_stopped(self) -> None:
        """Continue who holds the job's lock and was stopped by a signal, but for the supervisor of a run that has not ended.

        All that is left to do then are steps of this launch, which nobody else can do meanwhile.
        """
        state = self.state()
        if "slurm" in state:
            return
        supervisor = state.get("supervisor")
        if not process.alive(supervisor):
            holders = process.lock_holders(self.folder / LOCK)
        else:
            run_folder = self.run_folder
            ended = run_folder is not None and with_recorded_exit(run_folder, state).get("state") in SEALED
            holders = [supervisor] if ended and supervisor else []
        for holder in filter(process.stopped, holders):
            process.send_signal(holder, signal.SIGCONT)

    def facts(self) -> Facts:
        """What is on the disk now."""
        if self.run_folder is None:  # once committed, a claim does not change; before that, it may be made again
            self._read_spec()
        staged, run_folder, previous = self.staged, self.run_folder, self.previous
        exists = run_folder is not None and run_folder.exists()
        state = valid_state(run_folder) if run_folder is not None else {}
        ours = state.get("key") == self.key
        exit_record = (read_json(run_folder / EXIT) if run_folder is not None else None) or {}
        return Facts(
            committed=(self.folder / JOB).exists(),
            undone=(self.folder / UNDONE).exists(),
            staged=staged is not None and staged.exists(),
            folder=exists,
            replaced=previous is not None and str(state.get("key", "")) == self.spec.get("replaces"),
            ours=ours,
            unreadable=exists and not state,
            previous=previous is not None and previous.exists(),
            state=str(state.get("state", "")) if ours else "",
            exit=str(exit_record.get("state", ""))
            if not state_problem(exit_record) and exit_record["key"] == self.key
            else "",
            sealed=run_folder is not None and is_capsule(run_folder, self.key),
            aborting=(self.folder / ABORT).exists() or self.key in UNRECORDED,
            queues_itself="slurm" in state,
        )

    def perform(self, step: str, lock: int) -> None:
        """Perform ``step``; ``lock`` is the descriptor of the job's lock.

        Raises:
            OSError: the disk refuses; the step can be performed again.
            NotStarted: there is no supervisor.
        """
        if step == lifecycle.START:
            start_supervisor(self.workspace, self.key, self.folder, lock)
        elif step == lifecycle.ABORT:
            assert self.run_folder is not None
            abort_unsupervised(self.run_folder, self.key, abort_text(self.folder))
        elif step in (lifecycle.RECORD, lifecycle.SEAL):
            assert self.run_folder is not None
            complete_end(self.run_folder, self.key)
        else:
            self._place(step)

    def _place(self, step: str) -> None:
        """A step that moves folders."""
        staged, run_folder, previous = self.staged, self.run_folder, self.previous
        if step == lifecycle.ARCHIVE:
            if staged is not None:  # of a launch that was never put in place
                shutil.rmtree(staged, ignore_errors=True)
            notify.tell_end(self)  # here, since every launch that ends is archived, by whoever is left to do so
            self.workspace.ended.mkdir(mode=0o700, exist_ok=True)
            _move(self.folder, self.workspace.ended / self.key)
            self.folder = self.workspace.ended / self.key
        elif step in (lifecycle.DISCARD, lifecycle.FORGET):
            if staged is not None:
                shutil.rmtree(staged, ignore_errors=True)
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            assert staged is not None and run_folder is not None
            if step == lifecycle.PUT_IN_PLACE:
                _move(staged, run_folder)
            elif step == lifecycle.RESTORE:
                assert previous is not None
                _move(previous, run_folder)
            else:
                target = staged if step == lifecycle.TAKE_BACK else previous
                assert target is not None
                with run_locked(run_folder):  # who records its end writes to whatever has its name
                    _move(run_folder, target)


def settle(launch: Launch, lock: int, *, queue_is_locked: bool = False, start: bool = True) -> None:
    """Perform the steps of a launch that nobody supervises until there is none, or its supervisor has been started.

    Args:
        lock: descriptor of the job's lock.
        queue_is_locked: this process holds the queue's lock.
        start: start its supervisor if that is next; without it, that is left to others.

    Raises:
        OSError, NotStarted: the step that did not succeed can be performed again.
    """
    for _ in range(MAX_STEPS):
        step = next_step(launch.facts())
        if not step or (step == lifecycle.START and not start):
            return
        if step not in lifecycle.PLACEMENT or queue_is_locked:
            launch.perform(step, lock)
        else:
            with queue_locked(launch.workspace):
                if step == next_step(launch.facts()):  # another launch of the run may have moved its folder meanwhile
                    launch.perform(step, lock)
        if step in (lifecycle.START, lifecycle.ARCHIVE, lifecycle.DISCARD, lifecycle.FORGET):
            return


def live_launches(workspace: Workspace, run_folder: Path | None = None) -> Iterator[Launch]:
    """The launches that are not over, of one run or of all."""
    try:
        keys = sorted(folder.name for folder in workspace.jobs.iterdir())
    except OSError:
        return
    for key in keys:
        if workspace.is_key(key):
            launch = Launch(workspace, key)
            if run_folder is None or launch.run_folder == run_folder:
                yield launch


def start_supervisor(workspace: Workspace, key: str, folder: Path, lock: int) -> None:
    """Start the supervisor of a claimed launch; it inherits ``lock``.

    Raises:
        NotStarted: it does not start.
    """
    log = folder / "supervisor.log"
    try:
        if not process.start_detached(workspace.root, "supervise", key, lock, log):
            raise NotStarted(f"the supervisor does not start: see {log}")
    except OSError as error:
        raise NotStarted(f"the supervisor does not start: {error.strerror}") from error


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def abort_text(job_folder: Path) -> str:
    """The reason of a run that ends since an abort was requested."""
    if not (job_folder / ABORT).exists():
        return "aborted by SIGTERM to its supervisor"
    return f"aborted by {(read_json(job_folder / ABORT) or {}).get('by', 'somebody')}"


def orphans_of(key: str, state: dict[str, Any], run_folder: Path | None) -> job_processes.JobProcesses:
    """The processes of a launch without a supervisor, whose recorded state is ``state``."""
    job = state.get("job")
    return job_processes.JobProcesses(key, None, int(job["pid"]) if job and process.alive(job) else None, run_folder)


def abort_unsupervised(run_folder: Path, key: str, reason: str) -> dict[str, Any]:
    """End what a dead supervisor left running, and record the abort; returns the run's state. The lock must be held.

    Raises:
        OSError: it could not be recorded. Its processes have ended all the same, and the next try records ``UNRECORDED``.
    """
    state = valid_state(run_folder) or {"key": key}
    if state.get("state") in ENDED:
        return state
    termination = orphans_of(key, state, run_folder).terminate(GRACE_S)
    text = UNRECORDED.get(key, "")
    if termination.pids or not text:
        gone = "; its supervisor was gone" if state.get("supervisor") else ""
        text = UNRECORDED[key] = f"{reason}{gone}{termination.text}{gpu.release_text(termination.pids)}"
    state = record_end(run_folder, key, "aborted", text)
    UNRECORDED.pop(key, None)
    return state
