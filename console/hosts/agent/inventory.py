"""Inventory: every launch that the workspace holds, of all experiments, and whether its capsule is still as it was sealed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.hosts.agent.launches import live_launches
from console.hosts.agent.restore import SUFFIX
from console.hosts.agent.run_states import current_states
from console.hosts.agent.state_file import valid_state
from console.hosts.agent.workspace import NAME, BrokenFile, Workspace, load_json
from engine.contract.run_folder import MANIFEST, METRICS, SEALED, build_manifest, size_and_sha256

NOWHERE = "a link to what is not there"


def list_launches(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Every launch in the workspace that has something which may be missed elsewhere. Each capsule is hashed again.

    Returns:
        ``launches``: of each its ``folder``, ``run``, ``key``, ``state``; ``manifest``: SHA-256 of its manifest file, "" if
        there is none; ``problem``: why the manifest does not cover what the folder holds; ``set_aside``: a later launch has
        replaced it. Of those that were set aside only the ones with results are listed.
    """
    launches = []
    for folder in sorted((workspace.root / "runs").iterdir()):
        if _leads_nowhere(folder):
            launches.append(_entry(folder.name, "", {}, problem=NOWHERE))
        if not folder.is_dir():
            continue
        if not NAME.match(folder.name):
            launches.append(_entry(folder.name, "", {}, problem="no folder of an experiment"))
            continue
        for run, state in current_states(workspace, folder.name).items():
            launches.append(_checked(folder, run, state, workspace.run(folder.name, run), set_aside=False))
        launches += [
            _entry(folder.name, path.name, {}, problem=NOWHERE)
            for path in sorted(folder.iterdir())
            if _leads_nowhere(path)
        ]
        launches += _set_aside(folder)
    known = {entry["key"] for entry in launches}
    for launch in live_launches(workspace):
        if launch.key not in known:  # it is being put in place
            run_folder = launch.run_folder
            name, run = (run_folder.parent.name, run_folder.name) if run_folder is not None else ("", "")
            launches.append(_entry(name, run, {"key": launch.key, "state": "queued"}))
    return {"launches": launches}


def _leads_nowhere(path: Path) -> bool:
    """Whether ``path`` is a link to what is not there, such as a folder on a disk that is not mounted."""
    return path.is_symlink() and not path.exists()


def _set_aside(folder: Path) -> Iterator[dict[str, Any]]:
    with suppress(FileNotFoundError), os.scandir(folder / ".previous") as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False) and (path / METRICS).is_file():
                run = SUFFIX.sub("", entry.name).rstrip("-")
                yield _checked(folder, run, valid_state(path), path, set_aside=True)


def _checked(folder: Path, run: str, state: dict[str, Any], path: Path, *, set_aside: bool) -> dict[str, Any]:
    digest = problem = ""
    if state.get("state") in SEALED:
        try:
            digest = size_and_sha256(path / MANIFEST)[1]
            problem = _difference(load_json(path / MANIFEST), build_manifest(path, str(state.get("key", ""))))
        except FileNotFoundError:
            problem = "ended, not sealed"
        except (OSError, BrokenFile) as error:
            problem = str(getattr(error, "strerror", None) or error)
    return _entry(folder.name, run, state, digest, problem, set_aside=set_aside)


def _difference(sealed: dict[str, Any], present: dict[str, Any]) -> str:
    """Why the manifest ``sealed`` is not that of its folder as it is now; "" if it is."""
    if sealed.get("fingerprint") == present["fingerprint"] and sealed.get("left_out", []) == present["left_out"]:
        return ""
    before, after = ({(one["path"], one["sha256"]) for one in manifest["files"]} for manifest in (sealed, present))
    names = sorted({path for path, _ in before ^ after})
    return f"differs from its manifest by now: {', '.join(names[:3]) or 'what it leaves out'}"


def _entry(
    folder: str, run: str, state: dict[str, Any], manifest: str = "", problem: str = "", *, set_aside: bool = False
) -> dict[str, Any]:
    return {
        "folder": folder,
        "run": run,
        "key": str(state.get("key", "")),
        "state": str(state.get("state", "")),
        "manifest": manifest,
        "problem": problem,
        "set_aside": set_aside,
    }
