"""Recording the end of a run in the place of a supervisor that cannot."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from console.hosts.agent import gpu, process
from console.hosts.agent.workspace import read_json, seal, write_json
from engine.contract.run_folder import ENDED, EXIT, STATE


def as_recorded(run_folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """``state``, or the end that ``exit.json`` records of that very launch: it is written first and outlives a crash."""
    recorded = read_json(run_folder / EXIT)
    return {**state, **recorded} if recorded and recorded.get("key") == state.get("key") else state


def record_end(run_folder: Path, key: str, end: str, reason: str) -> dict[str, Any]:
    """Write that the run ended, and seal it; an end that is recorded already stands, and is completed if it was cut off.

    The life's lock must be held.
    """
    written = read_json(run_folder / STATE) or {"key": key}
    if written.get("state") in ENDED or written.get("key") != key:
        return written
    state = as_recorded(run_folder, written)
    if state.get("state") not in ENDED:
        record = {"key": key, "state": end, "exit_code": None, "reason": reason, "ended_at": time.time()}
        write_json(run_folder / EXIT, record)
        state = {**written, **record}
    write_json(run_folder / STATE, state)
    seal(run_folder, key)
    return state


def end_orphan(run_folder: Path, key: str, reason: str = "aborted after its supervisor was gone") -> dict[str, Any]:
    """End what a dead supervisor left running, and record the abort in its place."""
    state = read_json(run_folder / STATE) or {"key": key}
    if state.get("state") in ENDED:
        return state
    job = state.get("job")
    session = int(job["pid"]) if job and process.alive(job) else None
    swept = process.end_all(key, None, session, 5.0)
    return record_end(run_folder, key, "aborted", reason + swept.remark + gpu.verdict(swept.pids))
