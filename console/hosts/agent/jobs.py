"""Launch, list and abort: each safe to ask for twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import process
from .files import Refused, Workspace, is_locked, locked, read_json, seal, take_lock, write_json
from .heartbeat import HeartbeatWatch

ABORT_WAIT_S = 20.0
PATIENCE_S = 12.0  # a supervisor that lives needs less to end its job; one that stands still is killed after this
HEARTBEATS = HeartbeatWatch()
ENDED = ("finished", "failed", "aborted", "lost")


def launch(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Claim ``key`` and start its supervisor; the same key again finds the run it started.

    Returns:
        ``{"new": bool, "key": ...}``; ``key`` is another one if the run is active under that one.
    """
    key, folder, run = str(request["key"]), str(request["folder"]), str(request["run"])
    job, run_folder = workspace.job(key), workspace.run(folder, run)
    workspace.prepare()
    with locked(workspace.queue_lock):
        if (job / "job.json").exists():
            return {"new": False, "key": key}
        holder = active_key(workspace, run_folder)
        if holder and holder != key:
            return {"new": False, "key": holder}
        job.mkdir(exist_ok=True, mode=0o700)  # left without job.json by a crash: nothing ran, so it is claimed anew
        set_aside(run_folder, workspace.runs(folder) / ".previous")
        run_folder.mkdir(parents=True, mode=0o700)
        for name, text in dict(request.get("files", {})).items():
            if Path(name).name != name or name in ("job.json", "lock", "abort.json"):
                raise Refused(f"not a file name for a job: {name!r}")
            (job / name).write_text(text, encoding="utf-8")
        lock = take_lock(job / "lock", wait=True)  # held before the run can be seen: it is never seen unsupervised
        assert lock is not None
        try:
            _write_claim(workspace, request, job, run_folder)
            _start_supervisor(workspace, key, lock)
        finally:
            os.close(lock)
    return {"new": True, "key": key}


def states(workspace: Workspace, folder: str) -> dict[str, dict[str, Any]]:
    """Every run of a folder and its state as it truly is: a run nobody supervises any more is lost."""
    found: dict[str, dict[str, Any]] = {}
    runs = workspace.runs(folder)
    if not runs.is_dir():
        return found
    for run_folder in sorted(runs.iterdir()):
        if run_folder.name.startswith(".") or not run_folder.is_dir():
            continue
        state = read_json(run_folder / "state.json")
        if state is not None:
            found[run_folder.name] = HEARTBEATS.judge(true_state(workspace, run_folder, state))
    return found


def true_state(workspace: Workspace, run_folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """``state`` as written, unless the one who writes it is gone without having recorded an end."""
    if state.get("state") in ENDED or is_locked(workspace.job(str(state["key"])) / "lock"):
        return state
    fresh = read_json(run_folder / "state.json") or state  # it may have ended between the two looks
    if fresh.get("state") in ENDED or fresh.get("key") != state["key"]:
        return fresh
    recorded = read_json(run_folder / "exit.json")
    if recorded and recorded.get("key") == state["key"]:
        return {**fresh, **recorded}
    rebooted = (fresh.get("supervisor") or {}).get("boot", process.boot_id()) != process.boot_id()
    why = "the host was rebooted" if rebooted else "its supervisor is gone"
    if process.alive(fresh.get("job")):
        why += "; its job still runs"
    return {**fresh, "state": "lost", "reason": why}


def active_key(workspace: Workspace, run_folder: Path) -> str | None:
    """The launch that a run is active under; None if nothing of it runs or waits."""
    state = read_json(run_folder / "state.json")
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
    state = read_json(run_folder / "state.json") or {}
    if state.get("key") != key:
        raise Refused("that launch was replaced by another")
    if not (job / "abort.json").exists() and true_state(workspace, run_folder, state)["state"] not in ENDED[:3]:
        write_json(job / "abort.json", {"by": str(request.get("by", "the operator"))})
    deadline = time.monotonic() + ABORT_WAIT_S
    while time.monotonic() < deadline:
        state = read_json(run_folder / "state.json") or state
        if state.get("state") in ENDED:
            return state
        lock = take_lock(job / "lock", wait=False)
        if lock is not None:
            try:
                return _end_orphan(run_folder, key)
            finally:
                os.close(lock)
        impatient = time.monotonic() > deadline - ABORT_WAIT_S + PATIENCE_S
        process.send(state.get("supervisor"), signal.SIGKILL if impatient else signal.SIGTERM)
        time.sleep(0.1)
    return state


def _end_orphan(run_folder: Path, key: str) -> dict[str, Any]:
    """End what a dead supervisor left running, and record the abort in its place."""
    state = read_json(run_folder / "state.json") or {"key": key}
    if state.get("state") in ENDED:
        return state
    job = state.get("job")
    session = int(job["pid"]) if job and process.alive(job) else None
    gone = process.end_all(key, None, session, 5.0)
    reason = "aborted after its supervisor was gone" + ("" if gone else "; some of its processes could not be killed")
    record = {"key": key, "state": "aborted", "exit_code": None, "reason": reason, "ended_at": time.time()}
    write_json(run_folder / "exit.json", record)
    state = {**state, **record}
    write_json(run_folder / "state.json", state)
    seal(run_folder, key)
    return state


def set_aside(run_folder: Path, previous: Path) -> None:
    """Move an ended run out of the way of its successor; nothing is deleted."""
    if not run_folder.exists():
        return
    previous.mkdir(parents=True, exist_ok=True)
    old = (read_json(run_folder / "state.json") or {}).get("key") or f"unknown-{time.time_ns()}"
    run_folder.rename(previous / f"{run_folder.name}-{old}")


def _write_claim(workspace: Workspace, request: dict[str, Any], job: Path, run_folder: Path) -> None:
    """The run's first state and, last, ``job.json``: with it the claim stands."""
    ticket = _next_ticket(workspace)
    places = {"workspace": str(workspace.root), "job": str(job), "run": str(run_folder)}
    key = job.name
    state = {
        "state": "queued",
        "key": key,
        "ticket": ticket,
        "settings": str(request.get("settings", "")),
        "queued_at": time.time(),
    }
    spec = {
        "key": key,
        "ticket": ticket,
        "slots": int(request.get("slots", 1)),
        "argv": [_filled(str(part), places) for part in request["argv"]],
        "env": dict(request.get("env", {})),
        "run_folder": str(run_folder),
    }
    write_json(run_folder / "state.json", state)
    write_json(job / "job.json", spec)


def _next_ticket(workspace: Workspace) -> int:
    counter = read_json(workspace.ticket) or {}
    ticket = int(counter.get("ticket", 0)) + 1
    write_json(workspace.ticket, {"ticket": ticket})
    return ticket


def _filled(part: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        part = part.replace("{" + name + "}", value)
    return part


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
