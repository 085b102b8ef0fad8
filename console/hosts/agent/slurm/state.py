"""The state of a run under Slurm as it truly is: what its supervisor recorded first, then what Slurm's queue shows.

The run may be on another machine than this one, so nothing is concluded from processes that are not seen here. Silence
of Slurm proves nothing either: the last state stands, and says that it is the last one.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.hosts.agent import process
from console.hosts.agent.run_end import as_recorded, record_end
from console.hosts.agent.slurm.queue import Entry, queue_of
from console.hosts.agent.workspace import Workspace, last_lines, read_json
from engine.contract.file_lock import is_locked, take_lock
from engine.contract.run_folder import ENDED, STATE

BY_SLURM = frozenset(
    ["BOOT_FAIL", "CANCELLED", "DEADLINE", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"]
)
UNHEARD = ("", "None")


def true_state(workspace: Workspace, run_folder: Path, key: str) -> dict[str, Any]:
    """The state of the launch ``key``, which had not ended when it was last read."""
    queue = queue_of(workspace)
    look = queue.latest()
    # read after the look: what had left the queue by then has recorded its end by now, or never will
    supervised = is_locked(workspace.job(key) / "lock")
    state = _written(run_folder, key, supervised)
    if state.get("state") in ENDED or state.get("key") != key:
        return state
    if look.error:
        return {**state, "reason": f"Slurm does not answer ({look.error}): this is what was known last"}
    gone = queue.gone(key, look)
    if live := look.live(key):
        return _as_queued(state, live[0], supervised)
    if supervised or not gone:
        return state
    _see_afresh(run_folder)
    state = _written(run_folder, key, supervised)
    if state.get("state") in ENDED or state.get("key") != key:
        return state
    return _gone(workspace, run_folder, state, look.entries.get(key, []))


def _written(run_folder: Path, key: str, supervised: bool) -> dict[str, Any]:
    """What the supervisor wrote; while it lives, it is left to it to say that the run has ended."""
    state = read_json(run_folder / STATE) or {"state": "queued", "key": key, "slurm": {}}
    return state if supervised else as_recorded(run_folder, state)


def _see_afresh(folder: Path) -> None:
    """Make a change in a folder: on NFS that drops what this machine remembers of it, a missing file among it."""
    mark = folder / f".seen.{os.getpid()}.{threading.get_ident()}"
    with suppress(OSError):
        mark.touch()
        mark.unlink()


def was_submitted(job: Path) -> bool:
    """Whether Slurm is known to have taken the job."""
    return (job / "slurm.json").exists()


def slurm_log(job: Path) -> Path:
    """Where Slurm writes what it has to say about the job."""
    return Path(str((read_json(job / "slurm.json") or {}).get("log") or job / "slurm.log"))


def _as_queued(state: dict[str, Any], entry: Entry, supervised: bool) -> dict[str, Any]:
    """The recorded state in the light of a job that Slurm has. The processes of one that waits are those of an attempt before."""
    if entry.waits and not (supervised and state["state"] == "running"):  # a look may be older than a start
        reason = "waits in Slurm's queue" + (f": {entry.reason}" if entry.reason not in UNHEARD else "")
        return {**state, "state": "queued", "supervisor": None, "job": None, "reason": reason}
    if entry.state == "SUSPENDED":
        return {**state, "supervisor": None, "job": None, "reason": "suspended by Slurm"}
    return state


def _gone(workspace: Workspace, run_folder: Path, state: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
    """The end of a job that Slurm has no longer, and whose supervisor left no record of it.

    What Slurm ended is recorded as failed in the supervisor's place; what cannot be known is lost, and stays unrecorded.
    """
    job = workspace.job(str(state["key"]))
    begun, said = bool(state.get("supervisor")), entries[-1].state if entries else ""
    hints = [entries[-1].reason] if entries and entries[-1].reason not in UNHEARD else []
    if (job / "abort.json").exists():
        told = read_json(job / "abort.json") or {}
        return _recorded(job, run_folder, state, "aborted", f"aborted by {told.get('by', 'somebody')}")
    if said in BY_SLURM:
        words = said.lower().replace("_", " ")
        return _recorded(
            job, run_folder, state, "failed", f"Slurm ended it{'' if begun else ' before it began'}: {words}"
        )
    if said and not begun:
        words = "; ".join([*hints, last_lines(slurm_log(job))]).strip("; ")
        return _recorded(job, run_folder, state, "failed", f"it did not begin: {words or said.lower()}")
    if begun:
        why = "its supervisor is gone"
        if process.alive(state.get("job")):
            why += "; its job still runs"
    elif was_submitted(job):
        why = "Slurm does not know it any more"
    else:
        why = "it was never handed to Slurm"
    return {**state, "state": "lost", "reason": why}


def _recorded(job: Path, run_folder: Path, state: dict[str, Any], end: str, reason: str) -> dict[str, Any]:
    """Record that end, unless somebody holds the job's life or the disk will not take it now."""
    lock = take_lock(job / "lock", wait=False)
    if lock is None:
        return state
    try:
        with suppress(OSError):
            return record_end(run_folder, job.name, end, reason)
    finally:
        os.close(lock)
    return {**state, "state": end, "reason": reason}
