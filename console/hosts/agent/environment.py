"""The engine's Python environment on the host: a virtual environment in the workspace, made once for each version."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from console.hosts.agent.workspace import NAME, Refused, Workspace, last_line, read_json, write_json
from engine.contract.file_lock import is_locked, take_lock


def folder(workspace: Workspace, name: str) -> Path:
    """Path of the environment ``name``, whether it exists or not."""
    if not NAME.match(name):
        raise Refused(f"not an environment name: {name!r}")
    return workspace.root / "env" / name


def state(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """``{"state": "none" | "making" | "ready" | "failed", "step": ..., "error": ...}`` of the environment ``name``."""
    path = folder(workspace, str(request["name"]))
    found = read_json(path.with_suffix(".json")) or {"state": "none"}
    if found["state"] == "making" and not is_locked(path.with_suffix(".lock")):
        found = read_json(path.with_suffix(".json")) or found  # read again: it may have ended before the check
        if found["state"] == "making":
            return {"state": "failed", "error": "it was interrupted"}
    if found["state"] == "making":
        found["step"] = last_line(path.with_suffix(".log")) or found.get("step", "")
    return found


def make(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Start making the environment ``name``, detached from the link, unless that has started already or is done.

    Args:
        request: ``name``; ``wheel``: its file name; ``content``: the wheel in base64; ``constraints``: text;
            ``requirements``: what the engine needs, one a line.
    """
    name = str(request["name"])
    path = folder(workspace, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    now = state(workspace, request)
    if now["state"] in ("making", "ready"):
        return now
    lock = take_lock(path.with_suffix(".lock"), wait=False)
    if lock is None:
        return state(workspace, request)
    try:
        files = _write_inputs(path.parent / "wheels" / name, request)
        write_json(path.with_suffix(".json"), {"state": "making", "step": "starting"})
        with open(path.with_suffix(".log"), "wb") as log:
            starter = subprocess.Popen(
                [sys.executable, sys.argv[0], "make-environment", str(workspace.root), name, str(lock), *files],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[lock],
            )
        starter.wait()
    finally:
        os.close(lock)
    return state(workspace, request)


def _write_inputs(path: Path, request: dict[str, Any]) -> tuple[str, str, str]:
    """Write the wheel, its constraints and its requirements into ``path``; returns their paths."""
    name = str(request["wheel"])
    if not NAME.match(name):
        raise Refused(f"not a wheel's name: {name!r}")
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(base64.b64decode(request["content"]))
    (path / "constraints.txt").write_text(str(request["constraints"]), encoding="utf-8")
    (path / "requirements.txt").write_text(str(request["requirements"]), encoding="utf-8")
    return str(path / name), str(path / "constraints.txt"), str(path / "requirements.txt")


def main(root: str, name: str, lock: str, wheel: str, constraints: str, requirements: str) -> None:
    """Make the environment; an incomplete one is removed. A virtual environment cannot be moved, so it is made in place."""
    os.set_inheritable(int(lock), False)
    if os.fork():
        os._exit(0)
    path = folder(Workspace(Path(root)), name)
    record = path.with_suffix(".json")
    shutil.rmtree(path, ignore_errors=True)
    pip = [str(path / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    steps = (
        ("making a virtual environment", [sys.executable, "-m", "venv", str(path)]),
        ("installing what the engine needs", [*pip, "-c", constraints, "-r", requirements]),
        # the wheel's own dependencies are the console's: a terminal UI and an SSH client have no use on a host
        ("installing the engine", [*pip, "--no-deps", wheel]),
    )
    for step, command in steps:
        print(f"{step}: {' '.join(command)}", flush=True)
        write_json(record, {"state": "making", "step": step})
        done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            error = last_line(path.with_suffix(".log")) or f"{step} ended with {done.returncode}"
            shutil.rmtree(path, ignore_errors=True)
            write_json(record, {"state": "failed", "step": step, "error": error})
            return
    write_json(record, {"state": "ready", "python": str(path / "bin" / "python")})
