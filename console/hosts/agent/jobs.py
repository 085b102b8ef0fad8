"""Launch, list and abort runs; each can safely be requested twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from console.hosts.agent import process
from console.hosts.agent.claims import claim
from console.hosts.agent.heartbeat import HeartbeatWatch
from console.hosts.agent.slurm import jobs as slurm_jobs
from console.hosts.agent.slurm import state as slurm_state
from console.hosts.agent.supervisor import abort_unsupervised, with_recorded_exit
from console.hosts.agent.workspace import ABORT, JOB, LOCK, Refused, Workspace, error_text, read_json, write_json
from engine.contract.file_lock import is_locked, take_lock
from engine.contract.run_folder import ENDED, SEALED, STATE

ABORT_TIMEOUT_S = 20.0
KILL_AFTER_S = 12.0  # a working supervisor needs less to end its job; one that stands still is killed then
HEARTBEATS = HeartbeatWatch()


def launch(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Claim ``key`` and start its supervisor; the same key again finds the run that it started.

    Returns:
        ``{"new": bool, "key": ...}``; ``key`` is another one if the run is active under that one.
    """
    if request.get("slurm") is not None:
        (outcome,) = slurm_jobs.launch_together(workspace, [request], active_key)
        if "refused" in outcome:
            raise Refused(outcome["refused"])
        return outcome
    claimed = claim(workspace, request, active_key)
    if isinstance(claimed, str):
        return {"new": False, "key": claimed}
    try:
        _start_supervisor(workspace, claimed.key, claimed.lock)
    except (Refused, OSError):
        claimed.undo(workspace)
        raise
    finally:
        claimed.release()
    return {"new": True, "key": claimed.key}


def launch_all(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Launch ``requests`` in their order; a refused one does not stop the others.

    Returns:
        ``{"outcomes": [...]}`` in the same order, each a reply of ``launch`` or ``{"refused": reason}``.
    """
    requests = [dict(one) for one in request["requests"]]
    if requests and all(one.get("slurm") is not None for one in requests):
        return {"outcomes": slurm_jobs.launch_together(workspace, requests, active_key)}
    outcomes: list[dict[str, Any]] = []
    for one in requests:
        try:
            outcomes.append(launch(workspace, one))
        except (Refused, OSError, KeyError, TypeError, ValueError) as error:
            outcomes.append({"refused": error_text(error, workspace)})
    return {"outcomes": outcomes}


def states(workspace: Workspace, folder: str) -> dict[str, dict[str, Any]]:
    """The state of every run of an experiment's folder; a run without a working supervisor is lost."""
    found: dict[str, dict[str, Any]] = {}
    runs = workspace.runs(folder)
    if not runs.is_dir():
        return found
    for run_folder in sorted(runs.iterdir()):
        if run_folder.name.startswith(".") or not run_folder.is_dir():
            continue
        state = read_json(run_folder / STATE)
        if state is not None:
            found[run_folder.name] = HEARTBEATS.judge(current_state(workspace, run_folder, state))
    return found


def current_state(workspace: Workspace, run_folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """``state`` as recorded; as lost if its supervisor is gone without having recorded an end."""
    if state.get("state") not in ENDED and "slurm" in state:
        return slurm_state.current_state(workspace, run_folder, str(state["key"]))
    if state.get("state") in ENDED or is_locked(workspace.job(str(state["key"])) / LOCK):
        return state
    now = read_json(run_folder / STATE) or state  # read again: it may have ended before the lock was checked
    if now.get("state") in ENDED or now.get("key") != state["key"]:
        return now
    now = with_recorded_exit(run_folder, now)
    if now.get("state") in ENDED:
        return now
    rebooted = (now.get("supervisor") or {}).get("boot", process.boot_id()) != process.boot_id()
    reason = "the host was rebooted" if rebooted else "its supervisor is gone"
    if process.alive(now.get("job")):
        reason += "; its job still runs"
    return {**now, "state": "lost", "reason": reason}


def active_key(workspace: Workspace, run_folder: Path) -> str | None:
    """The launch under which a run is queued or has processes; None if there is none."""
    state = read_json(run_folder / STATE)
    if state is None:
        return None
    now = current_state(workspace, run_folder, state)
    active = now["state"] not in ENDED or process.alive(now.get("job"))
    return str(now["key"]) if active else None


def abort(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """End a run with all its processes; returns its state afterwards. A run that has ended stays as it is.

    Raises:
        Refused: there is no such launch, or another one has taken its run folder.
    """
    key = str(request["key"])
    job = workspace.job(key)
    spec = read_json(job / JOB)
    if spec is None:
        raise Refused(f"no run was launched with key {key}")
    run_folder = Path(spec["run_folder"])
    state = read_json(run_folder / STATE) or {}
    if state.get("key") != key:
        raise Refused("that launch was replaced by another")
    # the file also stops a supervisor that cannot be signalled now, or that has not started yet
    if not (job / ABORT).exists() and current_state(workspace, run_folder, state)["state"] not in SEALED:
        write_json(job / ABORT, {"by": str(request.get("by", "the operator"))})
    if "slurm" in state:
        return slurm_jobs.abort(workspace, run_folder, key)
    began = time.monotonic()
    while time.monotonic() < began + ABORT_TIMEOUT_S:
        state = read_json(run_folder / STATE) or state
        if state.get("state") in ENDED:
            return state
        lock = take_lock(job / LOCK, wait=False)
        if lock is not None:
            try:
                return abort_unsupervised(run_folder, key, "aborted after its supervisor was gone")
            finally:
                os.close(lock)
        kill = time.monotonic() > began + KILL_AFTER_S
        process.send_signal(state.get("supervisor"), signal.SIGKILL if kill else signal.SIGTERM)
        time.sleep(0.1)
    return state


def _start_supervisor(workspace: Workspace, key: str, lock: int) -> None:
    """Start it detached. It inherits the claim's lock, so that at no moment the run looks unsupervised."""
    job = workspace.job(key)
    with open(job / "supervisor.log", "ab") as log:
        starter = subprocess.Popen(
            [sys.executable, sys.argv[0], "supervise", str(workspace.root), key, str(lock)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock],
            cwd=workspace.root,
        )
    if starter.wait() != 0:
        raise Refused(f"the supervisor did not start: see {job}/supervisor.log")
