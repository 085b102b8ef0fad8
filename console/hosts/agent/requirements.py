"""Requirements of pushed folders: each ``requirements.txt`` is installed into the engine's environment, on request."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.hosts.agent import environment, process
from console.hosts.agent.workspace import Refused, Workspace, last_line, read_json, write_json
from engine.contract.file_lock import is_locked, locked
from engine.contract.run_folder import open_regular

FILE = "requirements.txt"
MAX_BYTES = 1 << 20
_INCLUDES = re.compile(rb"^\s*(?:-r|--requirement|-c|--constraint)[ =]*([^\s#]+)", re.MULTILINE)


def pushed_folders(workspace: Workspace) -> list[str]:
    """Folders below the workspace that were pushed and have a ``requirements.txt``, as their receipts name them."""
    found = set()
    for receipts in (workspace.root / ".sync").glob("*/receipts"):
        receipt = read_json(max(receipts.glob("*.json"), default=receipts)) or {}
        verdict = receipt.get("verdict")
        if not isinstance(verdict, dict) or verdict.get("direction") != "push":
            continue
        folder = Path(str(receipt.get("remote", "/")))
        if not folder.is_absolute() and ".." not in folder.parts and (workspace.root / folder / FILE).is_file():
            found.add(folder.as_posix())
    return sorted(found)


def state(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Each pushed folder's requirements in the environment ``name``.

    ``{"folders": [{"folder": ..., "state": "none" | "changed" | "making" | "ready" | "failed", "step": ..., "error": ...}]}``
    """
    path = environment.folder(workspace, str(request["name"]))
    return {"folders": [_folder_state(workspace, path, folder) for folder in pushed_folders(workspace)]}


def _folder_state(workspace: Workspace, path: Path, folder: str) -> dict[str, Any]:
    recorded = _record(path).get(folder, {})
    found = {"folder": folder, "state": recorded.get("state", "none"), "error": recorded.get("error", "")}
    if found["state"] == "making" and is_locked(path.with_suffix(".lock")):
        return {**found, "step": last_line(_log(path))}
    if found["state"] == "making":
        recorded = _record(path).get(folder, {})  # read again: it may have ended before the check
        found = {**found, "state": recorded.get("state", "none"), "error": recorded.get("error", "")}
        if found["state"] == "making":
            return {**found, "state": "failed", "error": "it was interrupted"}
    if found["state"] in ("ready", "failed") and recorded.get("sha256") != digest(workspace.root / folder):
        return {**found, "state": "changed", "error": ""}
    return found


def digest(folder: Path) -> str:
    """SHA-256 over a folder's ``requirements.txt`` and the files that it includes."""
    total = hashlib.sha256()
    for content in _files(folder / FILE, set()):
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()


def _files(file: Path, seen: set[Path]) -> Iterator[bytes]:
    content = b""
    with suppress(OSError, ValueError):  # one that is missing, or no name of a file, is pip's error
        found = file.resolve()
        if found in seen:
            return
        seen.add(found)
        with open_regular(found) as opened:  # a pipe would never end
            content = opened.read(MAX_BYTES)
    yield content
    for name in _INCLUDES.findall(content):
        yield from _files(file.parent / name.decode("utf-8", "replace"), seen)


def install(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Start installing what pushed folders require into the environment ``name``, detached from the link.

    Raises:
        Refused: there is no environment yet.
    """
    name = str(request["name"])
    path = environment.folder(workspace, name)
    if environment.state(workspace, request)["state"] != "ready":
        raise Refused("the engine's environment is not installed yet")
    with locked(path.with_suffix(".lock"), wait=False) as lock:
        if lock is not None:
            for folder in _missing(workspace, path):
                _write_record(path, folder, state="making", sha256=digest(workspace.root / folder))
            _log(path).write_bytes(b"")
            process.start_detached(workspace.root, "install-requirements", name, lock, _log(path))
    return state(workspace, request)


def main(root: str, name: str, lock: str) -> None:
    """Install what was recorded as being installed, folder by folder.

    The engine's own versions are constraints: what the engine needs is never replaced.
    """
    process.detach(int(lock))
    workspace = Workspace(Path(root))
    path = environment.folder(workspace, name)
    constraints = path.parent / "wheels" / name / "constraints.txt"
    pip = environment.pip_install(path)
    for folder, recorded in _record(path).items():
        if recorded.get("state") != "making":
            continue
        begin = _log(path).stat().st_size
        command = [*pip, f"-c{constraints}", f"-r{FILE}"]
        # in the folder: requirements may name files beside theirs
        done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False, cwd=workspace.root / folder)
        if done.returncode:
            error = pip_error(_log(path).read_bytes()[begin:].decode("utf-8", "replace"))
            _write_record(path, folder, state="failed", error=error or f"pip ended with {done.returncode}")
        else:
            _write_record(path, folder, state="ready", error="")


def pip_error(output: str) -> str:
    """Why pip failed, in one line: its first error and what explains it."""
    lines = [line.strip() for line in output.splitlines()]
    begin = next((number for number, line in enumerate(lines) if line.startswith("ERROR:")), len(lines) - 1)
    kept = [
        line.partition("ERROR:")[2].strip() if line.startswith("ERROR:") else line
        for line in lines[begin:]
        if line and not line.startswith(("ERROR: ResolutionImpossible", "[notice]", "WARNING:"))
    ]
    return " ".join(kept)[:400]


def _missing(workspace: Workspace, path: Path) -> list[str]:
    return [
        folder for folder in pushed_folders(workspace) if _folder_state(workspace, path, folder)["state"] != "ready"
    ]


def _log(path: Path) -> Path:
    return path.with_suffix(".requirements.log")


def _record(path: Path) -> dict[str, dict[str, Any]]:
    """What was installed, by folder; in the environment itself, with which it ends."""
    found = read_json(path / FILE.replace(".txt", ".json")) or {}
    return {str(folder): one for folder, one in found.items() if isinstance(one, dict)}


def _write_record(path: Path, folder: str, **changes: str) -> None:
    record = _record(path)
    record[folder] = {**record.get(folder, {}), **changes}
    write_json(path / FILE.replace(".txt", ".json"), record)
