"""The claim of a launch: made once for a key, before anything is started, and taken back only if nothing was."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from console.hosts.agent.workspace import Refused, Workspace, read_json, write_json
from engine.contract.file_lock import is_locked, locked, take_lock
from engine.contract.run_folder import STATE

SEAL_WAIT_S = 10.0


class Claim(NamedTuple):
    """A launch that may be started.

    Attributes:
        lock: the life's lock, held since before the run could be seen: it is never seen unsupervised.
        previous: where the run that stood in its place went; None if there was none.
    """

    key: str
    job: Path
    run_folder: Path
    lock: int
    previous: Path | None

    def release(self) -> None:
        """Close this process's hold of the lock; what it was passed to keeps it."""
        os.close(self.lock)

    def undo(self, workspace: Workspace) -> None:
        """As if it had never been asked for: the key may be claimed again, and the run before stands in its place."""
        with locked(workspace.queue_lock):
            (self.job / "job.json").unlink()
            _put_back(self.run_folder, self.previous)


def claim(
    workspace: Workspace, request: dict[str, Any], active_key: Callable[[Workspace, Path], str | None]
) -> Claim | str:
    """Claim ``request["key"]``; the key that the run is claimed or active under if that was done before.

    Args:
        active_key: tells which launch a run is active under.

    Raises:
        Refused: a name in it could leave the workspace, or the run before it does not come to its end.
    """
    key, folder, run = str(request["key"]), str(request["folder"]), str(request["run"])
    job, run_folder = workspace.job(key), workspace.run(folder, run)
    workspace.prepare()
    with locked(workspace.queue_lock):
        if (job / "job.json").exists():
            return key
        holder = active_key(workspace, run_folder)
        if holder and holder != key:
            return holder
        _await_seal(workspace, run_folder)
        job.mkdir(exist_ok=True, mode=0o700)  # left without job.json by a crash: nothing ran, so it is claimed anew
        previous = set_aside(run_folder, workspace.runs(folder) / ".previous")
        try:
            lock = _fill(workspace, request, job, run_folder, previous)
        except BaseException:
            _put_back(run_folder, previous)
            raise
    return Claim(key, job, run_folder, lock, previous)


def _await_seal(workspace: Workspace, run_folder: Path) -> None:
    """Whoever records the end of the run that stands here writes to its path until the seal: it must be done first."""
    key = (read_json(run_folder / STATE) or {}).get("key")
    deadline = time.monotonic() + SEAL_WAIT_S
    while key and is_locked(workspace.job(str(key)) / "lock"):
        if time.monotonic() > deadline:
            raise Refused("the end of the run before it is still being recorded; ask again")
        time.sleep(0.02)


def set_aside(run_folder: Path, previous: Path) -> Path | None:
    """Move an ended run out of the way of its successor; nothing is deleted. Returns where to."""
    if not run_folder.exists():
        return None
    previous.mkdir(parents=True, exist_ok=True)
    old = (read_json(run_folder / STATE) or {}).get("key") or f"unknown-{time.time_ns()}"
    return run_folder.rename(previous / f"{run_folder.name}-{old}")


def _put_back(run_folder: Path, previous: Path | None) -> None:
    """The run that was set aside stands in its place again, in that of one that never started."""
    shutil.rmtree(run_folder, ignore_errors=True)
    if previous is not None:
        previous.rename(run_folder)


def _fill(workspace: Workspace, request: dict[str, Any], job: Path, run_folder: Path, previous: Path | None) -> int:
    """Make the run's folder and its job's files; returns the life's lock, held."""
    run_folder.mkdir(parents=True, mode=0o700)
    if previous is not None:
        _carry_over(previous, run_folder, request)
    for name, text in dict(request.get("files", {})).items():
        if Path(name).name != name or name in ("job.json", "lock", "abort.json", "slurm.json"):
            raise Refused(f"not a file name for a job: {name!r}")
        (job / name).write_text(text, encoding="utf-8")
    lock = take_lock(job / "lock", wait=True)
    assert lock is not None
    try:
        _write_claim(workspace, request, job, run_folder, previous)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _carry_over(previous: Path, run_folder: Path, request: dict[str, Any]) -> None:
    """Copy what the launch goes on from, if the run before it was asked the same; what it was stays whole."""
    settings = (read_json(previous / STATE) or {}).get("settings")
    if not settings or settings != request.get("settings"):
        return
    for name in request.get("carry", ()):
        if Path(name).name != name:
            raise Refused(f"not a file name of a run: {name!r}")
        if (previous / name).is_file():
            shutil.copyfile(previous / name, run_folder / name)


def _write_claim(
    workspace: Workspace, request: dict[str, Any], job: Path, run_folder: Path, previous: Path | None
) -> None:
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
        "previous": str(previous) if previous else "",
    }
    if request.get("slurm") is not None:
        state["slurm"] = {}  # Slurm is asked about it, and the supervisor says here where it runs
        spec["restart"] = dict(request.get("restart", {}))
    write_json(run_folder / STATE, state)
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
