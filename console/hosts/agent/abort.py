"""Abort of a launch: by its key alone, whoever has died and whatever files were lost. Nothing here needs room on the disk."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.hosts.agent import job_processes, process
from console.hosts.agent.launches import (
    GRACE_S,
    UNRECORDED,
    Launch,
    abort_unsupervised,
    live_launches,
    orphans_of,
    settle,
)
from console.hosts.agent.run_record import is_capsule, replace_unreadable_state
from console.hosts.agent.run_states import current_state
from console.hosts.agent.slurm import jobs as slurm_jobs
from console.hosts.agent.state_file import valid_state
from console.hosts.agent.workspace import (
    ABORT,
    LOCK,
    SLURM_JOB,
    NotStarted,
    Refused,
    Workspace,
    error_text,
    read_json,
    write_json,
)
from engine.contract.durable import write_durably
from engine.contract.file_lock import take_lock
from engine.contract.run_folder import SEALED, STATE

KILL_AFTER_S = 14.0  # a working supervisor needs less to end its job; one that does not work is killed then
ABORT_TIMEOUT_S = 17.0
SEARCH_EVERY_S = 1.0
PROBE_BYTES = 4096  # more than a state has


def abort(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """End a run with all its processes; returns its state afterwards. A run that has ended stays as it is.

    The ``reason`` of the state tells what was ended, what could not be, and whether that could not be recorded.

    Args:
        request: ``key`` of the launch and ``by``, who aborts it. Without a key ``folder`` and ``run``: a run whose state
            file cannot be read may not tell its launch, so that all launches of it that live are ended.

    Raises:
        Refused: nothing is known of such a launch, or another one has taken its run folder.
    """
    by, key = str(request.get("by", "the operator")), str(request.get("key", ""))
    if key:
        return _Abort(workspace, key, by).carry_out()
    run_folder = workspace.run(str(request["folder"]), str(request["run"]))
    keys = job_processes.jobs_of(run_folder) | {launch.key for launch in live_launches(workspace, run_folder)}
    if not keys:
        raise Refused("nothing of this run is left to abort")
    return [_Abort(workspace, key, by).carry_out() for key in sorted(keys)][-1]


class _Abort:
    """The abort of one launch.

    Attributes:
        run_folder: where the run was launched; None if that is not known any more.
        supervisors: the living ones, by pid; more than one only if files were deleted.
    """

    def __init__(self, workspace: Workspace, key: str, by: str) -> None:
        self.workspace = workspace
        self.key = key
        self.by = by
        self.text = f"aborted by {by}"
        self.launch = Launch(workspace, key)
        self.folder = self.launch.folder
        self.run_folder = self.launch.run_folder or _run_folder_of(workspace, key)
        self.supervisors: dict[int, dict[str, Any]] = {}

    def carry_out(self) -> dict[str, Any]:
        """The abort; returns the state to report."""
        state = self._state()
        if state.get("state") in SEALED:
            return self._end_leftovers(state)
        self._find_supervisors()
        if not state and not self.supervisors and not self._orphans().find():
            raise Refused(self._why_unknown())
        self._leave_request(state)
        if self.run_folder is not None and ("slurm" in state or (self.folder / SLURM_JOB).exists()):
            return slurm_jobs.abort(self.workspace, self.run_folder, self.key, self._end_unsupervised)
        return self._end_supervised()

    def _state(self) -> dict[str, Any]:
        """The recorded state; empty if there is none of this launch."""
        state = self.launch.state()
        if not state and self.run_folder is not None:
            state = valid_state(self.run_folder)
        return state if state.get("key") == self.key else {}

    def _may_replace_state(self) -> bool:
        """Whether the recorded state cannot be read, and the run is this launch's: the last one of it, or it has processes."""
        if self.run_folder is None or not self.run_folder.is_dir() or valid_state(self.run_folder):
            return False
        last = max(live_launches(self.workspace, self.run_folder), key=lambda launch: launch.ticket, default=None)
        return (last is not None and last.key == self.key) or self.key in job_processes.jobs_of(self.run_folder)

    def _orphans(self) -> job_processes.JobProcesses:
        """Its processes as they are found without a supervisor."""
        state = self._state()
        return orphans_of(self.key, state, self.run_folder if state else None)

    def _find_supervisors(self) -> None:
        found = [*job_processes.supervisors_of(self.key), self._state().get("supervisor")]
        self.supervisors = {one["pid"]: one for one in found if one and process.alive(one)}

    def _why_unknown(self) -> str:
        if not self.launch.spec and self.run_folder is None:
            return f"no run was launched with key {self.key}"
        folder = self.run_folder
        if folder and is_capsule(folder, self.key):
            return "its run folder is sealed, though its state cannot be read"
        return "that launch was replaced by another" if folder and folder.exists() else "its run folder is gone"

    def _leave_request(self, state: dict[str, Any]) -> None:
        """Record who requests the abort, if there is room; it also stops a launch that is only being started."""
        if not self.folder.exists() or (self.folder / ABORT).exists():
            return
        if state and self.run_folder and current_state(self.workspace, self.run_folder, state)["state"] in SEALED:
            return
        try:
            write_json(self.folder / ABORT, {"by": self.by})
        except OSError:
            with suppress(OSError):  # a full disk often has room for one more name
                (self.folder / ABORT).touch()

    def _end_supervised(self) -> dict[str, Any]:
        """Have the supervisor end the run; one that does not is killed, and the run is ended in its place."""
        began = searched = time.monotonic()
        while True:
            state = self._state()
            if state.get("state") in SEALED:
                return state
            if not any(process.alive(one) for one in self.supervisors.values()):
                ended = self._end_unsupervised()
                if ended is not None:
                    return ended
            seconds = time.monotonic() - began
            if seconds > ABORT_TIMEOUT_S:
                break
            for one in self.supervisors.values():
                process.send_signal(one, signal.SIGKILL if seconds > KILL_AFTER_S else signal.SIGTERM)
                process.send_signal(one, signal.SIGCONT)  # one that a signal has stopped goes on
            if time.monotonic() > searched + SEARCH_EVERY_S:
                searched = time.monotonic()
                self._find_supervisors()
                if not self._orphans().find() and (problem := self._disk_problem()):
                    return self._reply(state, f"{self.text}; not recorded yet: {problem}")
            time.sleep(0.1)
        ended_text = self._orphans().terminate(0.0).text
        stats = ((process.read_stat(pid), pid) for pid in self.supervisors)
        left = process.named((stat.name, pid) for stat, pid in stats if stat is not None) or "not found"
        text = f"{self.text}{ended_text}; not recorded: its supervisor does not end ({left})"
        return self._reply(state, text)

    def _end_unsupervised(self) -> dict[str, Any] | None:
        """End the run in place of its supervisor; None while another process has the job's lock."""
        lock: int | None = None
        with_lock = True
        try:
            lock = take_lock(self.folder / LOCK, wait=False)
        except OSError:
            with_lock = False  # its folder was deleted, or a new lock has no room: nobody has it either
        if with_lock and lock is None:
            return None
        try:
            if lock is not None and self.launch.staged is not None and self.launch.staged.exists():
                with suppress(OSError, NotStarted):
                    settle(self.launch, lock, start=False)
            return self._end_orphans()
        finally:
            if lock is not None:
                os.close(lock)

    def _end_orphans(self) -> dict[str, Any]:
        if self.run_folder is not None and self._may_replace_state():
            with suppress(OSError):
                replace_unreadable_state(self.run_folder, self.key)
        state = self._state()
        if state.get("state") in SEALED:
            return state
        if not state or self.run_folder is None:
            text = f"{self.text}{self._orphans().terminate(GRACE_S).text}"
            return self._reply(state, f"{text}; not recorded: {self._why_unknown()}")
        try:
            return abort_unsupervised(self.run_folder, self.key, self.text)
        except OSError as error:
            text = UNRECORDED.get(self.key, self.text)
            return self._reply(state, f"{text}; not recorded yet: {error_text(error, self.workspace)}")

    def _end_leftovers(self, state: dict[str, Any]) -> dict[str, Any]:
        """End processes that a run has left though its end is recorded."""
        orphans = orphans_of(self.key, state, None)
        if not orphans.find():
            return state
        reason = str(state.get("reason", ""))
        return {**state, "reason": (reason + orphans.terminate(GRACE_S).text).lstrip("; ")}

    def _disk_problem(self) -> str:
        """Why the run's end cannot be recorded now; "" if it can."""
        if self.run_folder is None or not self.run_folder.is_dir():
            return ""
        probe = self.run_folder / f".abort.{self.key}.tmp"
        try:
            write_durably(probe, bytes(PROBE_BYTES))
            probe.unlink()
        except OSError as error:
            return error_text(error, self.workspace)
        return ""

    def _reply(self, state: dict[str, Any], reason: str) -> dict[str, Any]:
        """The state to report of a run that has no process any more, though that is not recorded."""
        return {**state, "key": self.key, "state": "aborted", "reason": reason}


def _run_folder_of(workspace: Workspace, key: str) -> Path | None:
    """The run folder of a launch whose ``job.json`` is lost: by the states of all runs, else by its living processes."""
    for path in (workspace.root / "runs").glob(f"*/[!.]*/{STATE}"):
        if (read_json(path) or {}).get("key") == key:
            return path.parent
    folder = job_processes.folder_of_job(key)
    return Path(folder) if folder else None
