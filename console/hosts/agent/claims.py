"""The claim of a launch: made once for each key before anything is started, and undone only if nothing was started."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from console.hosts.agent.run_states import active_key
from console.hosts.agent.workspace import ABORT, JOB, LOCK, SLURM_JOB, Refused, Workspace, read_json, write_json
from engine.contract.file_lock import is_locked, locked, take_lock
from engine.contract.run_folder import STATE

SEAL_TIMEOUT_S = 10.0


class Claim(NamedTuple):
    """A launch that may be started.

    Attributes:
        lock: descriptor of the job's lock, held since before the run became visible: it never looks unsupervised.
        previous: where the earlier run of that name was moved; None if there was none.
    """

    key: str
    job: Path
    run_folder: Path
    lock: int
    previous: Path | None

    def release(self) -> None:
        """Close this process's copy of the lock; a process that inherited it still holds it."""
        os.close(self.lock)

    def undo(self, workspace: Workspace) -> None:
        """Undo the claim: the key can be claimed again, and the earlier run is back in its folder."""
        with locked(workspace.queue_lock):
            (self.job / JOB).unlink()
            _restore(self.run_folder, self.previous)


def claim(workspace: Workspace, request: dict[str, Any]) -> Claim | str:
    """Claim ``request["key"]``; returns a key instead if that one is claimed already, or the run is active under another.

    Raises:
        Refused: a name in the request could lead out of the workspace, or the earlier run is not sealed in time.
    """
    key, folder, run = str(request["key"]), str(request["folder"]), str(request["run"])
    job, run_folder = workspace.job(key), workspace.run(folder, run)
    workspace.prepare()
    with locked(workspace.queue_lock):
        if (job / JOB).exists():
            return key
        holder = active_key(workspace, run_folder)
        if holder and holder != key:
            return holder
        _await_seal(workspace, run_folder)
        job.mkdir(exist_ok=True, mode=0o700)  # a folder without JOB is left by a crash: nothing was started from it
        previous = set_aside(run_folder, workspace.runs(folder) / ".previous")
        with ExitStack() as undo:
            undo.callback(_restore, run_folder, previous)
            lock = take_lock(job / LOCK, wait=True)
            assert lock is not None
            undo.callback(os.close, lock)
            _write_files(workspace, request, job, run_folder, previous)
            undo.pop_all()
    return Claim(key, job, run_folder, lock, previous)


def _await_seal(workspace: Workspace, run_folder: Path) -> None:
    # the process that records the earlier run's end writes to this folder until it is sealed, and must not write to the new
    key = (read_json(run_folder / STATE) or {}).get("key")
    deadline = time.monotonic() + SEAL_TIMEOUT_S
    while key and is_locked(workspace.job(str(key)) / LOCK):
        if time.monotonic() > deadline:
            raise Refused("the end of the run before it is still being recorded; try again")
        time.sleep(0.02)


def set_aside(run_folder: Path, previous: Path) -> Path | None:
    """Move an ended run to ``previous``, so that its name is free; returns its new path, None if there is no run."""
    if not run_folder.exists():
        return None
    previous.mkdir(parents=True, exist_ok=True)
    key = (read_json(run_folder / STATE) or {}).get("key") or f"unknown-{time.time_ns()}"
    return run_folder.rename(previous / f"{run_folder.name}-{key}")


def _restore(run_folder: Path, previous: Path | None) -> None:
    """Replace a run that never started by the one that was set aside for it."""
    shutil.rmtree(run_folder, ignore_errors=True)
    if previous is not None:
        previous.rename(run_folder)


def _write_files(
    workspace: Workspace, request: dict[str, Any], job: Path, run_folder: Path, previous: Path | None
) -> None:
    run_folder.mkdir(parents=True, mode=0o700)
    if previous is not None:
        _copy_checkpoint(previous, run_folder, request)
    for name, text in dict(request.get("files", {})).items():
        if Path(name).name != name or name in (JOB, LOCK, ABORT, SLURM_JOB):
            raise Refused(f"not a file name for a job: {name!r}")
        (job / name).write_text(text, encoding="utf-8")
    ticket = int((read_json(workspace.ticket) or {}).get("ticket", 0)) + 1
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
        "run_folder": str(run_folder),
        "previous": str(previous) if previous else "",
    }
    if request.get("slurm") is not None:
        state["slurm"] = {}  # marks a run under Slurm; its supervisor adds the node and the job's id
        spec["restart"] = dict(request.get("restart", {}))
    write_json(run_folder / STATE, state)
    write_json(job / JOB, spec)  # last: with it the claim is valid


def _copy_checkpoint(previous: Path, run_folder: Path, request: dict[str, Any]) -> None:
    """Copy the files to resume from, if the earlier run had the same settings; its own folder stays complete."""
    settings = (read_json(previous / STATE) or {}).get("settings")
    if not settings or settings != request.get("settings"):
        return
    for name in request.get("carry", ()):
        if Path(name).name != name:
            raise Refused(f"not a file name of a run: {name!r}")
        if (previous / name).is_file():
            shutil.copyfile(previous / name, run_folder / name)
