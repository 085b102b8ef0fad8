"""The engine's Python environment on the host: a virtual environment in the workspace, made once for each version."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from console.hosts.agent import process
from console.hosts.agent.workspace import Workspace, check_name, last_line, read_json, write_json
from engine.contract.file_lock import is_locked, locked


def folder(workspace: Workspace, name: str) -> Path:
    """Path of the environment ``name``, whether it exists or not."""
    return workspace.root / "env" / check_name(name, "an environment name")


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
    wheel = check_name(str(request["wheel"]), "a wheel's name")
    with locked(path.with_suffix(".lock"), wait=False) as lock:
        if lock is not None:
            inputs = path.parent / "wheels" / name
            inputs.mkdir(parents=True, exist_ok=True)
            (inputs / wheel).write_bytes(base64.b64decode(request["content"]))
            for text in ("constraints", "requirements"):
                (inputs / f"{text}.txt").write_text(str(request[text]), encoding="utf-8")
            write_json(path.with_suffix(".json"), {"state": "making", "step": "starting"})
            log = path.with_suffix(".log")
            log.write_bytes(b"")
            process.start_detached(workspace.root, "make-environment", name, lock, log, wheel)
    return state(workspace, request)


def main(root: str, name: str, lock: str, wheel: str) -> None:
    """Make the environment; an incomplete one is removed. A virtual environment cannot be moved, so it is made in place."""
    process.detach(int(lock))
    path = folder(Workspace(Path(root)), name)
    record, inputs = path.with_suffix(".json"), path.parent / "wheels" / name
    shutil.rmtree(path, ignore_errors=True)
    pip = [str(path / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    steps = (
        ("making a virtual environment", [sys.executable, "-m", "venv", str(path)]),
        ("installing what the engine needs", [*pip, f"-c{inputs}/constraints.txt", f"-r{inputs}/requirements.txt"]),
        # the wheel's own dependencies are the console's: a terminal UI and an SSH client have no use on a host
        ("installing the engine", [*pip, "--no-deps", f"{inputs}/{wheel}"]),
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
