"""Record of a run's end: its exit, its state and the manifest that seals it, each written under the run folder's lock.

A folder that is sealed is a capsule: nothing is written to it any more. Whoever records an end looks under the lock whether
another process has done so: locks of jobs are files that can be deleted, so that holding one is no proof.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from console.hosts.agent.locks import run_locked
from console.hosts.agent.state_file import state_problem, valid_state
from console.hosts.agent.workspace import read_json, seal, write_json
from engine.contract.run_folder import ENDED, EXIT, MANIFEST, SEALED, STATE


def is_capsule(run_folder: Path, key: str) -> bool:
    """Whether launch ``key`` has left a sealed folder there."""
    return (read_json(run_folder / MANIFEST) or {}).get("key") == key


def exit_record(key: str, state: str, code: int | None, reason: str) -> dict[str, Any]:
    """The content of ``exit.json``."""
    return {"key": key, "state": state, "exit_code": code, "reason": reason, "ended_at": time.time()}


def with_recorded_exit(run_folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """``state`` with the end in ``exit.json``, if it is of the same launch: it is written first and survives a crash."""
    recorded = read_json(run_folder / EXIT)
    if not recorded or recorded.get("key") != state.get("key") or state_problem({**state, **recorded}):
        return state
    return {**state, **recorded}


def record_end(run_folder: Path, key: str, end: str, reason: str) -> dict[str, Any]:
    """Record the end of a run in place of its dead supervisor, and seal it; returns its state.

    An end that is recorded already stays, and is completed if that was interrupted.

    Raises:
        OSError: it can be tried again.
    """
    with run_locked(run_folder):
        written = valid_state(run_folder) or {"key": key}
        if written["key"] != key:
            return written
        state = with_recorded_exit(run_folder, written)
        if is_capsule(run_folder, key):
            return state
        if state.get("state") not in ENDED:
            record = exit_record(key, end, None, reason)
            write_json(run_folder / EXIT, record)
            state = {**written, **record}
        _complete(run_folder, written, state)
        return state


def complete_end(run_folder: Path, key: str) -> None:
    """Copy the recorded exit of a run to its state, and seal it, unless it is sealed, has not ended or is another launch's.

    Raises:
        OSError: it can be tried again.
    """
    with run_locked(run_folder):
        written = valid_state(run_folder) or {"key": key}
        state = with_recorded_exit(run_folder, written)
        if written["key"] == key and state.get("state") in SEALED and not is_capsule(run_folder, key):
            _complete(run_folder, written, state)


def _complete(run_folder: Path, written: dict[str, Any], state: dict[str, Any]) -> None:
    """Write ``state`` if it is not what was ``written``; then the manifest, which covers all files."""
    if state != written:
        write_json(run_folder / STATE, state)
    seal(run_folder, state["key"])


def replace_unreadable_state(run_folder: Path, key: str) -> None:
    """Give a run whose state cannot be read one of launch ``key``, so that its end can be recorded.

    Raises:
        OSError: it can be tried again.
    """
    with run_locked(run_folder):
        if not valid_state(run_folder) and not is_capsule(run_folder, key):
            write_json(run_folder / STATE, {"state": "running", "key": key})
