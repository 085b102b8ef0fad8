"""The engine's Python environment on the host: a virtual environment in the workspace, made once for each version.

Where this Python is too old for the engine, uv first installs one into the workspace; the console sends uv's wheel.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.hosts.agent import process
from console.hosts.agent.workspace import Workspace, check_name, last_line, read_json, write_json
from engine.contract.file_lock import is_locked, locked

UV_WHEELS = "uv-wheels"  # folder below the workspace to which the console sends them
OWN_PYTHONS = ">=3.11,<3.14"  # those that the project is tested with


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
            ``requirements``: what the engine needs, one a line; ``uv``: file name of uv's wheel in UV_WHEELS, which
            then installs the Python that the environment is made from; "" uses the one that runs this.
    """
    name = str(request["name"])
    path = folder(workspace, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    now = state(workspace, request)
    if now["state"] in ("making", "ready"):
        return now
    wheel = check_name(str(request["wheel"]), "a wheel's name")
    uv = str(request.get("uv", ""))
    uv_arguments = [check_name(uv, "a wheel's name")] if uv else []
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
            process.start_detached(workspace.root, "make-environment", name, lock, log, wheel, *uv_arguments)
    return state(workspace, request)


def main(root: str, name: str, lock: str, wheel: str, uv: str = "") -> None:
    """Make the environment; an incomplete one is removed. A virtual environment cannot be moved, so it is made in place."""
    process.detach(int(lock))
    path = folder(Workspace(Path(root)), name)
    shutil.rmtree(path, ignore_errors=True)
    try:
        _install(path, wheel, uv)
        python = path / "bin" / "python"
        version = _output([str(python), "-c", "import platform; print(platform.python_version())"])
        write_json(path.with_suffix(".json"), {"state": "ready", "python": str(python), "version": version})
    except _StepFailed as failed:
        shutil.rmtree(path, ignore_errors=True)
        write_json(path.with_suffix(".json"), {"state": "failed", "step": failed.step, "error": str(failed)})


class _StepFailed(Exception):
    """A step of the installation failed, for the reason in the text."""

    def __init__(self, step: str, error: str) -> None:
        super().__init__(error)
        self.step = step


def _install(path: Path, wheel: str, uv: str) -> None:
    """Make the environment at ``path``, step by step.

    Raises:
        _StepFailed: with the last line that its command printed.
    """
    inputs = path.parent / "wheels" / path.name
    python = _install_python(path, uv) if uv else sys.executable
    # -I: started in the workspace, where -m would import what the user has put there
    pip = [str(path / "bin" / "python"), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    _run(path, "making a virtual environment", [python, "-I", "-m", "venv", str(path)])
    needed = [*pip, f"-c{inputs}/constraints.txt", f"-r{inputs}/requirements.txt"]
    _run(path, "installing what the engine needs", needed)
    # the wheel's own dependencies are the console's: a terminal UI and an SSH client have no use on a host
    _run(path, "installing the engine", [*pip, "--no-deps", f"{inputs}/{wheel}"])


def _install_python(path: Path, uv: str) -> str:
    """Have uv install a Python below the workspace, unless it has; returns its path.

    Its settings are the host's own: UV_PYTHON_INSTALL_MIRROR and the like, in the environment or ``~/.config/uv/uv.toml``.
    """
    env = path.parent
    settings = {
        "UV_PYTHON_INSTALL_DIR": str(env / "python"),
        "UV_CACHE_DIR": str(env / "uv" / "cache"),
        "UV_NO_PROGRESS": "1",
    }
    program, step = env / "uv" / f"{uv}.program", "installing a Python for the engine (uv)"
    try:
        _extract_program(env.parent / UV_WHEELS / uv, program)
        _run(path, step, [str(program), "python", "install", "--no-bin", OWN_PYTHONS], settings)
        find = [str(program), "python", "find", "--no-project", "--managed-python", OWN_PYTHONS]
        if python := _output(find, settings):
            return python
        error = "uv does not find what it has installed"
    except _StepFailed as failed:
        error = str(failed)
    except (OSError, KeyError, zipfile.BadZipFile) as failed:
        error = f"uv: {failed}"
    raise _StepFailed(step, f"{error}; a newer Python can be named as `python` in hosts.toml")


def _extract_program(wheel: Path, program: Path) -> None:
    """Extract the program ``uv`` of a wheel, unless it has been."""
    if program.exists():
        return
    program.parent.mkdir(exist_ok=True)
    part = program.with_suffix(f".{os.getpid()}.part")
    with zipfile.ZipFile(wheel) as archive:
        name = next((name for name in archive.namelist() if name.endswith(".data/scripts/uv")), "uv")
        with archive.open(name) as source, open(part, "wb") as target:
            shutil.copyfileobj(source, target)
    part.chmod(0o755)
    part.replace(program)


def _run(path: Path, step: str, command: list[str], settings: Mapping[str, str] = {}) -> None:
    """Run one step; its output goes to the log.

    Raises:
        _StepFailed: it ended with an error.
    """
    log = path.with_suffix(".log")
    print(f"{step}: {' '.join(command)}", flush=True)
    write_json(path.with_suffix(".json"), {"state": "making", "step": step})
    begin = log.stat().st_size
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False, env={**os.environ, **settings})
    if done.returncode:
        raise _StepFailed(step, _error_in(log, begin) or f"{step} ended with {done.returncode}")


def _error_in(log: Path, begin: int) -> str:
    """The reason in the output of a failed command: its last line; of uv, which explains itself in several, all."""
    with suppress(OSError):
        lines = log.read_bytes()[begin:].decode("utf-8", "replace").splitlines()
        causes = [line.partition(": ")[2].strip() for line in lines if line.lstrip().startswith(("error: ", "cause: "))]
        if len(causes) > 1:
            return f"{causes[0]}: {causes[-1]}"[:400]
    return last_line(log)


def _output(command: list[str], settings: Mapping[str, str] = {}) -> str:
    """Last line of a command's output; "" if it fails."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False, env={**os.environ, **settings}
    )
    lines = done.stdout.decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "") if done.returncode == 0 else ""
