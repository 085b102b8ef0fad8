"""Launch, list and abort: each safe to ask for twice."""

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
from console.hosts.agent.run_end import as_recorded, end_orphan
from console.hosts.agent.slurm import jobs as slurm_jobs
from console.hosts.agent.slurm import state as slurm_truth
from console.hosts.agent.workspace import Refused, Workspace, read_json, refusal, write_json
from engine.contract.file_lock import is_locked, take_lock
from engine.contract.run_folder import ENDED, SEALED, STATE

ABORT_WAIT_S = 20.0
PATIENCE_S = 12.0  # a supervisor that lives needs less to end its job; one that stands still is killed after this
HEARTBEATS = HeartbeatWatch()


def launch(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Claim ``key`` and start its supervisor; the same key again finds the run it started.

    Returns:
        ``{"new": bool, "key": ...}``; ``key`` is another one if the run is active under that one.
    """
    if request.get("slurm") is not None:
        (outcome,) = slurm_jobs.launch_together(workspace, [request], active_key)
        if "refused" in outcome:
            raise Refused(outcome["refused"])
        return outcome
    made = claim(workspace, request, active_key)
    if isinstance(made, str):
        return {"new": False, "key": made}
    try:
        _start_supervisor(workspace, made.key, made.lock)
    except (Refused, OSError):
        made.undo(workspace)
        raise
    finally:
        made.release()
    return {"new": True, "key": made.key}


def launch_all(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Launch ``requests`` in their order; one that is refused does not keep the others from being launched.

    Returns:
        ``{"outcomes": [...]}`` in the same order, each as ``launch`` replies or ``{"refused": reason}``.
    """
    requests = [dict(one) for one in request["requests"]]
    if requests and all(one.get("slurm") is not None for one in requests):
        return {"outcomes": slurm_jobs.launch_together(workspace, requests, active_key)}
    outcomes: list[dict[str, Any]] = []
    for one in requests:
        try:
            outcomes.append(launch(workspace, one))
        except (Refused, OSError, KeyError, TypeError, ValueError) as error:
            outcomes.append({"refused": refusal(error, workspace)})
    return {"outcomes": outcomes}


def states(workspace: Workspace, folder: str) -> dict[str, dict[str, Any]]:
    """Every run of a folder and its state as it truly is: a run nobody supervises any more is lost."""
    found: dict[str, dict[str, Any]] = {}
    runs = workspace.runs(folder)
    if not runs.is_dir():
        return found
    for run_folder in sorted(runs.iterdir()):
        if run_folder.name.startswith(".") or not run_folder.is_dir():
            continue
        state = read_json(run_folder / STATE)
        if state is not None:
            found[run_folder.name] = HEARTBEATS.judge(true_state(workspace, run_folder, state))
    return found


def true_state(workspace: Workspace, run_folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """``state`` as written, unless the one who writes it is gone without having recorded an end."""
    if state.get("state") not in ENDED and "slurm" in state:
        return slurm_truth.true_state(workspace, run_folder, str(state["key"]))
    if state.get("state") in ENDED or is_locked(workspace.job(str(state["key"])) / "lock"):
        return state
    fresh = read_json(run_folder / STATE) or state  # it may have ended between the two looks
    if fresh.get("state") in ENDED or fresh.get("key") != state["key"]:
        return fresh
    fresh = as_recorded(run_folder, fresh)
    if fresh.get("state") in ENDED:
        return fresh
    rebooted = (fresh.get("supervisor") or {}).get("boot", process.boot_id()) != process.boot_id()
    why = "the host was rebooted" if rebooted else "its supervisor is gone"
    if process.alive(fresh.get("job")):
        why += "; its job still runs"
    return {**fresh, "state": "lost", "reason": why}


def active_key(workspace: Workspace, run_folder: Path) -> str | None:
    """The launch that a run is active under; None if nothing of it runs or waits."""
    state = read_json(run_folder / STATE)
    if state is None:
        return None
    now = true_state(workspace, run_folder, state)
    still = now["state"] not in ENDED or process.alive(now.get("job"))
    return str(now["key"]) if still else None


def abort(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """End a run with every process of its; returns its state then. Ended runs stay as they are."""
    key = str(request["key"])
    job = workspace.job(key)
    spec = read_json(job / "job.json")
    if spec is None:
        raise Refused(f"no run was launched with key {key}")
    run_folder = Path(spec["run_folder"])
    state = read_json(run_folder / STATE) or {}
    if state.get("key") != key:
        raise Refused("that launch was replaced by another")
    if not (job / "abort.json").exists() and true_state(workspace, run_folder, state)["state"] not in SEALED:
        write_json(job / "abort.json", {"by": str(request.get("by", "the operator"))})
    if "slurm" in state:
        return slurm_jobs.abort(workspace, run_folder, key)
    deadline = time.monotonic() + ABORT_WAIT_S
    while time.monotonic() < deadline:
        state = read_json(run_folder / STATE) or state
        if state.get("state") in ENDED:
            return state
        lock = take_lock(job / "lock", wait=False)
        if lock is not None:
            try:
                return end_orphan(run_folder, key)
            finally:
                os.close(lock)
        impatient = time.monotonic() > deadline - ABORT_WAIT_S + PATIENCE_S
        process.send(state.get("supervisor"), signal.SIGKILL if impatient else signal.SIGTERM)
        time.sleep(0.1)
    return state


def _start_supervisor(workspace: Workspace, key: str, lock: int) -> None:
    """Start it detached; the claim's lock passes to it without a moment in which nobody holds it."""
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
