"""The engine's environment on the host: a virtual environment of its own, made once, in the workspace and nowhere else."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from console.hosts.agent.workspace import NAME, Refused, Workspace, last_lines, read_json, write_json
from engine.contract.file_lock import take_lock


def folder(workspace: Workspace, name: str) -> Path:
    """Where the environment called ``name`` is or will be."""
    if not NAME.match(name):
        raise Refused(f"not an environment name: {name!r}")
    return workspace.root / "env" / name


def state(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """``{"state": "none" | "making" | "ready" | "failed", "step": ..., "error": ...}`` of the environment ``name``."""
    place = folder(workspace, str(request["name"]))
    said = read_json(place.with_suffix(".json")) or {"state": "none"}
    if said["state"] == "making":
        lock = take_lock(place.with_suffix(".lock"), wait=False)
        if lock is not None:  # whoever made it is gone
            os.close(lock)
            again = read_json(place.with_suffix(".json")) or said
            said = again if again["state"] != "making" else {"state": "failed", "error": "its making was cut off"}
    if said["state"] == "making":
        said["step"] = last_lines(place.with_suffix(".log")) or said.get("step", "")
    return said


def make(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Start making the environment ``name``, detached from the link; asked again, it is the same making.

    Args:
        request: ``name``; ``wheel``: its file name; ``content``: of the wheel, in base64; ``constraints``: text;
            ``requirements``: what the engine needs, one a line.
    """
    name = str(request["name"])
    place = folder(workspace, name)
    place.parent.mkdir(parents=True, exist_ok=True)
    now = state(workspace, request)
    if now["state"] in ("making", "ready"):
        return now
    lock = take_lock(place.with_suffix(".lock"), wait=False)
    if lock is None:
        return state(workspace, request)
    try:
        files = _write_inputs(place.parent / "wheels" / name, request)
        write_json(place.with_suffix(".json"), {"state": "making", "step": "starting"})
        with open(place.with_suffix(".log"), "wb") as log:
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


def _write_inputs(place: Path, request: dict[str, Any]) -> tuple[str, str, str]:
    """Write the wheel, its constraints and its requirements into ``place``; returns their paths."""
    name = str(request["wheel"])
    if not NAME.match(name):
        raise Refused(f"not a wheel's name: {name!r}")
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(base64.b64decode(request["content"]))
    (place / "constraints.txt").write_text(str(request["constraints"]), encoding="utf-8")
    (place / "requirements.txt").write_text(str(request["requirements"]), encoding="utf-8")
    return str(place / name), str(place / "constraints.txt"), str(place / "requirements.txt")


def main(root: str, name: str, lock: str, wheel: str, constraints: str, requirements: str) -> None:
    """Make the environment; only when it is whole does its state say so, and a half-made one is removed.

    It is made in its place, since a virtual environment cannot be moved.
    """
    os.set_inheritable(int(lock), False)
    if os.fork():
        os._exit(0)
    place = folder(Workspace(Path(root)), name)
    said = place.with_suffix(".json")
    shutil.rmtree(place, ignore_errors=True)
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    steps = (
        ("making a virtual environment", [sys.executable, "-m", "venv", str(place)]),
        ("installing what the engine needs", [*pip, "-c", constraints, "-r", requirements]),
        # the wheel's own dependencies are the console's: a terminal UI and an SSH client have no use on a host
        ("installing the engine", [*pip, "--no-deps", wheel]),
    )
    for step, command in steps:
        print(f"{step}: {' '.join(command)}", flush=True)
        write_json(said, {"state": "making", "step": step})
        done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            error = last_lines(place.with_suffix(".log")) or f"{step} ended with {done.returncode}"
            shutil.rmtree(place, ignore_errors=True)
            write_json(said, {"state": "failed", "step": step, "error": error})
            return
    write_json(said, {"state": "ready", "python": str(place / "bin" / "python")})
