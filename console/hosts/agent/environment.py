"""The engine's Python environment on the host: a virtual environment in the workspace, made once for each version.

Where this Python is too old for the engine, uv first installs one into the workspace; the console sends uv's wheel. Where
this Python has PyTorch for CUDA, the environment uses that, which fits the host's driver, and no other is installed.
"""

from __future__ import annotations

import base64
import json
import os
import re
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

OPTIONS = "options.json"  # what else an installation was requested with
HOST_PACKAGES = "host_packages.pth"  # makes the packages of the host's Python importable after the environment's own
# Text of a program for the host's Python, which may have PyTorch: the agent itself imports the standard library only.
# Prints what PyTorch is there, what that requires, and the folders of its packages.
FIND_TORCH = """
import json, sys
from importlib import metadata
import torch
folders = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
built_for = "CUDA " + torch.version.cuda if torch.version.cuda else getattr(torch.version, "hip", None)
about = {"version": metadata.version("torch"), "built_for": built_for or "", "folders": folders, "file": torch.__file__}
print(json.dumps({**about, "requires": metadata.requires("torch") or []}))
"""


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
    if found["state"] == "ready":
        # a rented machine may come back with the workspace's volume and another image
        gone = next((used for used in found.get("uses", ()) if not Path(used).exists()), None)
        return found if gone is None else {"state": "failed", "error": f"{gone}, which it uses, is gone"}
    if found["state"] == "making":
        found["step"] = last_line(path.with_suffix(".log")) or found.get("step", "")
    return found


def make(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Start making the environment ``name``, detached from the link, unless that has started already or is done.

    Args:
        request: ``name``; ``wheel``: its file name; ``content``: the wheel in base64; ``constraints``: text;
            ``requirements``: what the engine needs, one a line; ``uv``: file name of uv's wheel in UV_WHEELS, which
            then installs the Python that the environment is made from; "" uses the one that runs this;
            ``host_torch``: use the PyTorch for CUDA that this Python has.
    """
    name = str(request["name"])
    path = folder(workspace, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    now = state(workspace, request)
    if now["state"] in ("making", "ready"):
        return now
    wheel = check_name(str(request["wheel"]), "a wheel's name")
    uv = str(request.get("uv", ""))
    options = {
        "wheel": wheel,
        "uv": check_name(uv, "a wheel's name") if uv else "",
        "host_torch": bool(request.get("host_torch")),
    }
    with locked(path.with_suffix(".lock"), wait=False) as lock:
        if lock is not None:
            inputs = path.parent / "wheels" / name
            inputs.mkdir(parents=True, exist_ok=True)
            (inputs / wheel).write_bytes(base64.b64decode(request["content"]))
            for text in ("constraints", "requirements"):
                (inputs / f"{text}.txt").write_text(str(request[text]), encoding="utf-8")
            write_json(inputs / OPTIONS, options)
            write_json(path.with_suffix(".json"), {"state": "making", "step": "starting"})
            log = path.with_suffix(".log")
            log.write_bytes(b"")
            process.start_detached(workspace.root, "make-environment", name, lock, log)
    return state(workspace, request)


def main(root: str, name: str, lock: str) -> None:
    """Make the environment; an incomplete one is removed. A virtual environment cannot be moved, so it is made in place."""
    process.detach(int(lock))
    path = folder(Workspace(Path(root)), name)
    shutil.rmtree(path, ignore_errors=True)
    try:
        write_json(path.with_suffix(".json"), {"state": "ready", **_install(path)})
    except (_StepFailed, OSError) as failed:
        shutil.rmtree(path, ignore_errors=True)
        step = failed.step if isinstance(failed, _StepFailed) else ""
        write_json(path.with_suffix(".json"), {"state": "failed", "step": step, "error": str(failed)})


class _StepFailed(Exception):
    """A step of the installation failed, for the reason in the text."""

    def __init__(self, step: str, error: str) -> None:
        super().__init__(error)
        self.step = step


def pip_install(path: Path) -> list[str]:
    """Command that has pip install into the environment at ``path``, without what is to be installed."""
    # -I: started in the workspace, where -m would import what the user has put there
    return [str(path / "bin" / "python"), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]


def _install(path: Path) -> dict[str, Any]:
    """Make the environment at ``path``, step by step.

    Returns:
        ``{"python": path, "version": its version, "host_torch": the host's that it uses, or "", "uses": what must not go}``

    Raises:
        _StepFailed: with the last line that its command printed.
    """
    inputs = path.parent / "wheels" / path.name
    options = read_json(inputs / OPTIONS) or {}
    python = _install_python(path, options["uv"]) if options.get("uv") else sys.executable
    own = str(path / "bin" / "python")
    pip = pip_install(path)
    _run(path, "making a virtual environment", [python, "-I", "-m", "venv", str(path)])
    step, torch = "installing what the engine needs", _host_torch(python, inputs) if options.get("host_torch") else None
    if torch is not None:
        step += f" beside PyTorch {torch['version']} of {python}"
        packages = _output([own, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
        (Path(packages) / HOST_PACKAGES).write_text("\n".join(torch["folders"]) + "\n", encoding="utf-8")
    _run(path, step, [*pip, "-cconstraints.txt", "-rrequirements.txt"])
    # the wheel's own dependencies are the console's: a terminal UI and an SSH client have no use on a host
    _run(path, "installing the engine", [*pip, "--no-deps", f"./{options['wheel']}"])
    version = _output([own, "-I", "-c", "import platform; print(platform.python_version())"])
    made = {"python": own, "version": version, "host_torch": "", "uses": [own]}
    if torch is not None:
        made["host_torch"] = f"{torch['version']} ({torch['built_for']})"
        made["uses"] = [own, torch["file"]]
    return made


def _host_torch(python: str, inputs: Path) -> dict[str, Any] | None:
    """What ``python`` has of PyTorch, if that is built for GPUs and new enough; the constraints then ask for it.

    What it requires itself is left to it: its own versions of those packages fit, which the constraints do not know.
    """
    needed = re.search(r"^torch>=(\d+)\.(\d+)", (inputs / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    if needed is None:
        return None
    try:
        torch: dict[str, Any] = json.loads(_output([python, "-I", "-c", FIND_TORCH]))
    except ValueError:
        return None
    found = re.match(r"(\d+)\.(\d+)", torch["version"])
    if not torch["built_for"] or found is None or tuple(map(int, found.groups())) < tuple(map(int, needed.groups())):
        return None
    fixed = {_distribution(line) for line in ["torch", *torch["requires"]]}
    constraints = (inputs / "constraints.txt").read_text(encoding="utf-8").splitlines()
    kept = [line for line in constraints if _distribution(line) not in fixed]
    (inputs / "constraints.txt").write_text("\n".join([*kept, f"torch=={torch['version']}", ""]), encoding="utf-8")
    return torch


def _distribution(requirement: str) -> str:
    """The name in a requirement line, normalized as by PEP 503."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


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
    """Run one step, in the folder of its inputs: pip takes apart paths with ``;`` or brackets. Its output goes to the log.

    Raises:
        _StepFailed: it ended with an error.
    """
    log = path.with_suffix(".log")
    print(f"{step}: {' '.join(command)}", flush=True)
    write_json(path.with_suffix(".json"), {"state": "making", "step": step})
    begin = log.stat().st_size
    folder, environ = path.parent / "wheels" / path.name, {**os.environ, **settings}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False, cwd=folder, env=environ)
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
