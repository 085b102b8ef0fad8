"""The current state of runs: what their supervisors recorded, or lost if a supervisor is gone or stands still."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.hosts.agent import job_processes, process
from console.hosts.agent.caretaker import CARETAKER
from console.hosts.agent.disk import disk_space
from console.hosts.agent.launches import live_launches
from console.hosts.agent.run_record import with_recorded_exit
from console.hosts.agent.slurm import state as slurm_state
from console.hosts.agent.state_file import Remembered, read_state, reported, state_problem, valid_state
from console.hosts.agent.workspace import JOB, LOCK, NAME, Workspace, error_text
from engine.contract.file_lock import is_locked
from engine.contract.run_folder import ACTIVE, ENDED, MANIFEST, SEALED, STATE

STALE_S = 30.0
WAITS_FOR_ROOM = "waits for room on the host's disk"


class HeartbeatWatch:
    """Tells a supervisor that stands still from one that works.

    Its heartbeat is a counter, timed here by this process's own monotonic clock, so that no two clocks are compared.
    """

    def __init__(self, stale: float = STALE_S) -> None:
        self._stale = stale
        self._seen: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def judge(self, state: dict[str, Any]) -> dict[str, Any]:
        """``state``; as lost if it has a supervisor whose heartbeat has not changed for too long."""
        if state.get("state") not in ACTIVE or not state.get("supervisor"):
            return state
        key, beat, now = str(state["key"]), int(state.get("heartbeat", 0)), time.monotonic()
        with self._lock:
            last, since = self._seen.get(key, (-1, now))
            if beat != last:
                since = now
                self._seen[key] = (beat, now)
        if now - since < self._stale:
            return state
        reason = f"its supervisor stands still: no heartbeat for {now - since:.0f} s"
        return {**state, "state": "lost", "reason": reason, "supervised": True}


HEARTBEATS = HeartbeatWatch()
RECORDED = Remembered(lambda path: read_state(path.parent), lambda state: state["state"] in SEALED)


def current_states(workspace: Workspace, folder: str, runs: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """The state of every run of an experiment's folder, or of ``runs`` there; a run without a working supervisor is lost.

    One whose state cannot be read is lost, too, with the file's name in the reason.
    """
    if runs is None:
        runs = sorted(path.name for path in workspace.runs(folder).glob("*") if NAME.match(path.name))
    states = ((run, _checked_state(workspace, workspace.run(folder, run))) for run in runs)
    return {run: state for run, state in states if state is not None}


def _checked_state(workspace: Workspace, run_folder: Path) -> dict[str, Any] | None:
    """The state of one run, whatever its files hold; None if it was never launched."""
    problem = ""
    for _ in range(2):  # again if it was launched again at this moment
        try:
            state = RECORDED.get(run_folder / STATE)
            state = with_processes(run_folder, HEARTBEATS.judge(current_state(workspace, run_folder, state)))
            problem = state_problem(state)
        except (FileNotFoundError, NotADirectoryError):
            if not run_folder.is_dir():
                return None
            problem = f"{STATE} is missing"
            continue
        except Exception as error:  # noqa: BLE001 - the files of one run must not cost the others their states
            problem = error_text(error, workspace)
        return _unreadable_state(workspace, run_folder, problem) if problem else reported(state)
    return _unreadable_state(workspace, run_folder, problem)


def _unreadable_state(workspace: Workspace, run_folder: Path, problem: str) -> dict[str, Any]:
    """State of a run whose recorded one cannot be read; its key is that of its last live launch, "" if there is none."""
    last = max(live_launches(workspace, run_folder), key=lambda launch: launch.ticket, default=None)
    return with_processes(run_folder, {"state": "lost", "key": last.key if last else "", "reason": problem})


def with_processes(run_folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """``state``; a lost run with the number of its living processes, a running one with the remark that it is stopped."""
    job = state.get("job")
    if state["state"] == "running" and process.stopped(job):
        return {**state, "reason": process.STOPPED}
    if state["state"] != "lost":
        return state
    count = job_processes.COUNTS.count(str(state["key"]), job, run_folder)
    left = "" if not count or process.alive(job) else f"; processes of its job that still run: {count}"
    return {**state, "processes": count, "reason": f"{state.get('reason', '')}{left}"}


def current_state(workspace: Workspace, run_folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """``state`` as recorded; as lost if its supervisor is gone without having recorded an end."""
    if state.get("state") not in ENDED and "slurm" in state:
        return slurm_state.current_state(workspace, run_folder, str(state["key"]))
    if state.get("state") in ENDED:
        return _with_seal(workspace, run_folder, state)
    waits_for_room = state.get("state") == "queued" and _disk_is_full(workspace)
    if _is_supervised(workspace, state):
        # its supervisor has no room to record that itself
        return {**state, "reason": WAITS_FOR_ROOM} if waits_for_room else state
    now = valid_state(run_folder) or state  # read again: it may have ended before the lock was checked
    if now.get("state") in ENDED or now.get("key") != state["key"]:
        return now
    now = with_recorded_exit(run_folder, now)
    if now.get("state") in ENDED:
        return _with_seal(workspace, run_folder, now)
    key = str(now["key"])
    if now.get("state") == "queued" and (workspace.jobs / key / JOB).exists():
        return {**now, "reason": WAITS_FOR_ROOM if waits_for_room else CARETAKER.problem(key) or "it is being started"}
    rebooted = (now.get("supervisor") or {}).get("boot", process.boot_id()) != process.boot_id()
    reason = "the host was rebooted" if rebooted else "its supervisor is gone"
    if process.alive(now.get("job")):
        reason += "; its job still runs"
    return {**now, "state": "lost", "reason": reason}


def _disk_is_full(workspace: Workspace) -> bool:
    with suppress(OSError):
        return disk_space(workspace.root).is_full
    return False


def _is_supervised(workspace: Workspace, state: dict[str, Any]) -> bool:
    """Whether a process holds the job's lock, or the recorded supervisor lives although the lock's file is gone."""
    return is_locked(workspace.job(str(state["key"])) / LOCK) or process.alive(state.get("supervisor"))


def _with_seal(workspace: Workspace, run_folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """``state`` of an ended run, whose reason says why it is not sealed if that was tried in vain."""
    key = str(state.get("key", ""))
    if (run_folder / MANIFEST).is_file():
        return state
    if not (workspace.jobs / key).exists() and not _is_supervised(workspace, state):
        CARETAKER.seal_later(run_folder, key)
    problem = CARETAKER.problem(key)
    if not problem:
        return state
    reason = "; ".join(part for part in (str(state.get("reason", "")), f"ended, not sealed: {problem}") if part)
    return {**state, "reason": reason}


def is_active(workspace: Workspace, run_folder: Path, state: dict[str, Any]) -> bool:
    """Whether a run with this recorded ``state`` is queued, supervised or has processes."""
    now = current_state(workspace, run_folder, state)
    return now["state"] not in ENDED or process.alive(now.get("job"))
