"""Launch and abort through Slurm: claim, run folder and supervisor as without it, with Slurm as the queue."""

from __future__ import annotations

import os
import shlex
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console.hosts.agent.claims import Claim, Existing, claim
from console.hosts.agent.launches import Launch
from console.hosts.agent.process import PYTHON, stored_program
from console.hosts.agent.slurm import commands as slurm
from console.hosts.agent.slurm.queue import Entry, queue_of
from console.hosts.agent.slurm.state import mark_submitted, was_submitted
from console.hosts.agent.state_file import valid_state
from console.hosts.agent.workspace import LOCK, NAME, Refused, Workspace, error_text, write_json
from engine.contract.file_lock import locked
from engine.contract.run_folder import ENDED

CLAIM_TIMEOUT_S = 25.0
ABORT_TIMEOUT_S = 20.0
CANCEL_AFTER_S = 10.0  # a working supervisor needs less to end its job; then Slurm ends the allocation
QUEUE_POLL_S = 0.5


def launch_together(workspace: Workspace, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Launch ``requests`` in order; those that name the same array are submitted as one job with a task for each.

    Once Slurm does not answer, the others are refused without a claim.

    Returns:
        for each request ``{"new": bool, "key": ...}`` or ``{"refused": reason}``.
    """
    outcomes: list[dict[str, Any]] = [{} for _ in requests]
    no_answer = ""
    for group in _groups(requests):
        claims: dict[int, Claim] = {}
        try:
            for index in group:
                refused = {"refused": no_answer}
                outcomes[index] = refused if no_answer else _claim(workspace, requests[index], claims, index)
            if claims:
                try:
                    try:
                        _submit(workspace, requests[group[0]], list(claims.values()))
                    except Refused:
                        for claimed in claims.values():
                            claimed.undo()
                        raise
                except (Refused, OSError, slurm.NoAnswer) as error:
                    outcomes = [
                        {"refused": error_text(error, workspace)} if index in claims else outcome
                        for index, outcome in enumerate(outcomes)
                    ]
                    no_answer = str(error) if isinstance(error, slurm.NoAnswer) else ""
        finally:
            for claimed in claims.values():
                claimed.release()
    return outcomes


def abort(
    workspace: Workspace, run_folder: Path, key: str, end_unsupervised: Callable[[], dict[str, Any] | None]
) -> dict[str, Any]:
    """End a run for which an abort was requested; returns its state afterwards.

    A waiting job is taken out of the queue. A running one gets SIGTERM, so that its supervisor records the end; if that
    takes too long, Slurm ends the allocation.

    Args:
        end_unsupervised: ends a run that Slurm does not have; None while another process holds the job's lock.

    Raises:
        Refused: Slurm did not answer. The request stands: the supervisor ends the run as soon as it sees it.
    """
    queue = queue_of(workspace)
    began = time.monotonic()
    cancelled: set[tuple[str, bool]] = set()
    while True:
        state = valid_state(run_folder) or {"key": key}
        if state.get("state") in ENDED:
            return state
        snapshot = queue.newer_than(max(began, time.monotonic() - QUEUE_POLL_S))
        live = snapshot.live(key)
        if not snapshot.error and not live:
            ended = end_unsupervised()
            if ended is not None:
                return ended
        for entry in live:
            gently = entry.state == "RUNNING" and time.monotonic() < began + CANCEL_AFTER_S
            if entry.state != "COMPLETING" and (entry.job, gently) not in cancelled:
                cancelled.add((entry.job, gently))
                slurm.cancel(entry.job, gently)
        if time.monotonic() > began + ABORT_TIMEOUT_S:
            break
        time.sleep(0.1)
    if snapshot.error:
        message = f"Slurm does not answer ({snapshot.error}); the run is marked, and ends as soon as it can be reached"
        raise Refused(message)
    return state


def _groups(requests: list[dict[str, Any]]) -> list[list[int]]:
    """Indices of the requests that go as one job: those with the same settings and array; without an array each alone."""
    groups: dict[object, list[int]] = {}
    for index, request in enumerate(requests):
        settings = request["slurm"]
        groups.setdefault(repr(sorted(settings.items())) if settings.get("array") else index, []).append(index)
    return list(groups.values())


def _claim(workspace: Workspace, request: dict[str, Any], claims: dict[int, Claim], index: int) -> dict[str, Any]:
    """Claim a launch into ``claims[index]``, or continue one that was claimed but perhaps never submitted."""
    deadline = time.monotonic() + CLAIM_TIMEOUT_S
    try:
        while time.monotonic() < deadline:
            claimed: Claim | Existing | None = claim(workspace, request)
            if isinstance(claimed, Existing):
                in_this_batch = any(claimed.key == other.key for other in claims.values())
                if (
                    claimed.key == request["key"]
                    and not in_this_batch
                    and not was_submitted(workspace.job(claimed.key))
                ):
                    claimed = _continue_claim(workspace, claimed)
            if isinstance(claimed, Claim):
                claims[index] = claimed
                return {"new": True, "key": claimed.key, "state": "queued"}
            if claimed is not None:
                return {"new": False, "key": claimed.key, "state": claimed.state}
            time.sleep(0.05)  # another process is submitting it: wait for the result
    except (Refused, OSError, KeyError, TypeError, ValueError) as error:
        return {"refused": error_text(error, workspace)}
    return {"refused": "another launch of this key is under way"}


def _continue_claim(workspace: Workspace, existing: Existing) -> Claim | Existing | None:
    """Continue a launch that was interrupted between claim and submission; None while another process has its lock.

    Slurm is asked first whether it has the job: the interruption may have been after ``sbatch``. Returns ``existing`` then,
    or if the run has ended.

    Raises:
        Refused: Slurm does not answer.
    """
    key, job = existing.key, workspace.job(existing.key)
    with locked(job / LOCK, wait=False) as lock:
        launch = Launch(workspace, key)
        if lock is None or launch.run_folder is None or was_submitted(job):
            return None
        state = launch.state()
        if state.get("key") != key or state.get("state") in ENDED:
            return existing
        snapshot = queue_of(workspace).newer_than(time.monotonic())
        if snapshot.error:
            raise Refused(f"Slurm does not answer ({snapshot.error})")
        if found := snapshot.entries.get(key):
            mark_submitted(job, found[-1].job, job / "slurm.log")
            return existing
        # a duplicate keeps the lock beyond this block
        return Claim(launch, launch.run_folder, os.dup(lock))


def _submit(workspace: Workspace, request: dict[str, Any], claims: list[Claim]) -> None:
    """Submit the claims as one job, an array if there are several.

    Raises:
        Refused: Slurm rejects it: it does not have the job, so that the claims can be undone.
        NoAnswer: Slurm does not answer, and may have the job. The claims stay: a launch with the same key looks for the
            job in the queue before it submits one.
    """
    settings = dict(request["slurm"])
    first, array = claims[0], uuid.uuid4().hex
    alone = len(claims) == 1
    name = str(settings.get("array") or "") if not alone else first.run_folder.name
    if not NAME.match(name):
        raise Refused(f"not a name for a job: {name!r}")
    program = stored_program(workspace.root).absolute()
    supervise = [*PYTHON, str(program), "supervise-allocation", str(workspace.root)]
    command = [shlex.quote(part) for part in (*supervise, first.key if alone else array)]
    folder, log = first.job, first.job / "slurm.log"
    if not alone:
        folder = workspace.arrays / array
        folder.mkdir(mode=0o700)
        write_json(workspace.arrays / f"{array}.json", {"keys": [claimed.key for claimed in claims]})
        command.append('"$SLURM_ARRAY_TASK_ID"')
        log = workspace.arrays / f"{array}_%a.log"
    began = time.monotonic()
    entries: dict[str, list[Entry]] = {}
    try:
        job = slurm.submit(
            settings,
            name=f"qllm-{name}",
            comment=first.key if alone else array,
            folder=folder,
            log=log,
            command=command,
            tasks=len(claims),
            locks=[claimed.lock for claimed in claims],
            environment=list(map(str, request.get("environment", ()))),
        )
    except slurm.NotInstalled as error:
        raise Refused(f"Slurm rejects it: {error}") from error
    except slurm.Rejected as error:
        # an error of sbatch is no proof that Slurm has not taken the job; only a queue read after it is
        job, entries = "", _entries_since(workspace, began, str(error))
        if not any(claimed.key in entries for claimed in claims):
            no_job = (
                slurm.NoAnswer(str(error))
                if isinstance(error, slurm.NoJobId)
                else Refused(f"Slurm rejects it: {error}")
            )
            raise no_job from error
    for index, claimed in enumerate(claims):
        listed = entries.get(claimed.key)
        own = listed[-1].job if listed else job if alone else f"{job}_{index}"
        mark_submitted(claimed.job, own, log.with_name(log.name.replace("%a", str(index))))


def _entries_since(workspace: Workspace, began: float, problem: str) -> dict[str, list[Entry]]:
    """The queue's entries after a submission that began at ``began`` and whose outcome is not clear.

    Raises:
        NoAnswer: Slurm does not answer.
    """
    queue = queue_of(workspace)
    snapshot = queue.newer_than(began)
    snapshot = snapshot if snapshot.error else queue.newer_than(time.monotonic())
    if snapshot.error:
        raise slurm.NoAnswer(f"Slurm does not answer ({problem})")
    return snapshot.entries
