"""The current state of a run under Slurm: what its supervisor recorded, else what Slurm's queue shows.

The run may be on another machine, so that nothing is concluded from processes that do not exist here. When Slurm does
not answer, the last known state stands and says that it is the last known one.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.hosts.agent import process
from console.hosts.agent.launches import abort_text
from console.hosts.agent.run_record import record_end, with_recorded_exit
from console.hosts.agent.slurm.queue import ENDED_BY_SLURM, WAITING_STATES, Entry, queue_of
from console.hosts.agent.state_file import valid_state
from console.hosts.agent.workspace import ABORT, LOCK, SLURM_JOB, Workspace, last_line, read_json, write_json
from engine.contract.file_lock import is_locked, locked
from engine.contract.run_folder import ENDED

NO_REASON = ("", "None")
# Slurm's names, as the job reason codes of its manual explain them; the first pattern that matches
PENDING_REASONS = (
    ("Resources", "no node has what it needs free"),
    ("Priority", "other jobs come first"),
    ("BeginTime", "its start time has not come"),
    ("Dependency", "it depends on another job"),
    ("JobHeldUser", "it is held; scontrol release lets it go"),
    ("JobHeldAdmin", "an administrator holds it"),
    ("PartitionTimeLimit", "its time limit is longer than the partition allows: lower time in hosts.toml"),
    ("PartitionNodeLimit", "the partition has no such nodes: see partition, gres and constraint in hosts.toml"),
    ("PartitionDown|PartitionInactive", "the partition takes no jobs to run"),
    ("BadConstraints", "no node has what constraint and gres in hosts.toml ask for"),
    ("ReqNodeNotAvail", "a node that it needs is down, drained or reserved"),
    ("NodeDown", "a node that it needs is down"),
    ("Licenses", "a licence is not free"),
    ("Reservation", "its reservation is not available"),
    ("InvalidAccount|AccountNotAllowed", "account in hosts.toml may not run here"),
    ("InvalidQOS|QOSNotAllowed", "qos in hosts.toml may not be used here"),
    ("QOS", "a limit of its quality of service is reached"),
    ("Assoc", "a limit of the account or user is reached"),
    ("MaxJobs|JobArrayTaskLimit", "as many jobs run as are allowed"),
)


def current_state(workspace: Workspace, run_folder: Path, key: str) -> dict[str, Any]:
    """State of the launch ``key``, whose last recorded state was not an end."""
    queue = queue_of(workspace)
    snapshot = queue.latest()
    # read after the queue: a job that had left it by then has recorded its end by now, or never will
    supervised = is_locked(workspace.job(key) / LOCK)
    state = _recorded_state(run_folder, key, supervised)
    if state.get("state") in ENDED or state.get("key") != key:
        return state
    if snapshot.error:
        return {**state, "reason": f"Slurm does not answer ({snapshot.error}): this is the last known state"}
    has_left = queue.has_left(key, snapshot)  # also for a live job: a later absence is timed from its start
    if live := snapshot.live(key):
        return _with_queue_entry(state, live[0], supervised)
    if supervised or not has_left:
        return state
    _drop_nfs_cache(run_folder)
    state = _recorded_state(run_folder, key, supervised)
    if state.get("state") in ENDED or state.get("key") != key:
        return state
    return _unrecorded_end(workspace.job(key), run_folder, state, snapshot.entries.get(key, []))


def _recorded_state(run_folder: Path, key: str, supervised: bool) -> dict[str, Any]:
    """What the supervisor recorded. While it lives, ``exit.json`` is not read: it writes the state itself in a moment."""
    state = valid_state(run_folder) or {"state": "queued", "key": key, "slurm": {}}
    return state if supervised else with_recorded_exit(run_folder, state)


def _drop_nfs_cache(folder: Path) -> None:
    """Change a folder, so that NFS forgets what this machine cached of it, such as that a file does not exist."""
    mark = folder / f".seen.{os.getpid()}.{threading.get_ident()}"
    with suppress(OSError):
        mark.touch()
        mark.unlink()


def was_submitted(job: Path) -> bool:
    """Whether Slurm is known to have taken the job."""
    return (job / SLURM_JOB).exists()


def mark_submitted(job: Path, slurm_job: str, log: Path) -> None:
    """Record that Slurm has the job, and its id, by which it is known where the cluster rewrites what has the key."""
    write_json(job / SLURM_JOB, {"job": slurm_job, "log": str(log)})


def _with_queue_entry(state: dict[str, Any], entry: Entry, supervised: bool) -> dict[str, Any]:
    """The recorded state combined with the job's entry in the queue."""
    # the snapshot may be older than the start: a supervisor that says "running" knows better
    if entry.state in WAITING_STATES and not (supervised and state["state"] == "running"):
        reason = f"waits in Slurm's queue{_pending_text(entry.reason)}"
        # the recorded processes are those of an earlier attempt
        return {**state, "state": "queued", "supervisor": None, "job": None, "reason": reason}
    if entry.state == "SUSPENDED":  # without a supervisor its standing heartbeat is not taken for a lost run
        return {**state, "supervisor": None, "job": None, "reason": "suspended by Slurm"}
    return state


def _pending_text(reason: str) -> str:
    """``: Priority (other jobs come first)``: Slurm's name of why a job waits, and what it means where that is known."""
    if reason in NO_REASON:
        return ""
    meaning = next((words for pattern, words in PENDING_REASONS if re.match(pattern, reason)), "")
    return f": {reason}" + (f" ({meaning})" if meaning else "")


def _unrecorded_end(job: Path, run_folder: Path, state: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
    """State of a run whose job has left the queue, and whose supervisor recorded no end.

    What is known to have ended is recorded in the supervisor's place; anything else is lost, and not recorded.
    """
    began, last = bool(state.get("supervisor")), entries[-1].state if entries else ""
    if (job / ABORT).exists():
        return _record(job, run_folder, state, "aborted", abort_text(job))
    if last in ENDED_BY_SLURM:
        before = "" if began else " before it began"
        return _record(job, run_folder, state, "failed", f"Slurm ended it{before}: {last.lower().replace('_', ' ')}")
    if last and not began:
        hints = [entries[-1].reason] if entries[-1].reason not in NO_REASON else []
        log = Path(str((read_json(job / SLURM_JOB) or {}).get("log") or job / "slurm.log"))
        reason = "; ".join([*hints, last_line(log)]).strip("; ") or last.lower()
        return _record(job, run_folder, state, "failed", f"it did not begin: {reason}")
    if began:
        reason = "its supervisor is gone"
        if process.alive(state.get("job")):
            reason += "; its job still runs"
    elif was_submitted(job):
        reason = "Slurm does not know it any more"
    else:
        reason = "it was never submitted to Slurm"
    return {**state, "state": "lost", "reason": reason}


def _record(job: Path, run_folder: Path, state: dict[str, Any], end: str, reason: str) -> dict[str, Any]:
    """Record the end, unless another process holds the job's lock or the disk cannot be written now."""
    with locked(job / LOCK, wait=False) as lock:
        if lock is None:
            return state
        with suppress(OSError):
            return record_end(run_folder, job.name, end, reason)
    return {**state, "state": end, "reason": reason}
