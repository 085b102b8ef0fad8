"""Launch and abort through Slurm: the same claim, run folder and supervisor, with Slurm as the queue."""

from __future__ import annotations

import os
import shlex
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console.hosts.agent.claims import Claim, claim
from console.hosts.agent.run_end import end_orphan
from console.hosts.agent.slurm import commands as slurm
from console.hosts.agent.slurm.queue import queue_of
from console.hosts.agent.slurm.state import was_submitted
from console.hosts.agent.workspace import NAME, Refused, Workspace, read_json, refusal, write_json
from engine.contract.file_lock import take_lock
from engine.contract.run_folder import ENDED, STATE

CLAIM_WAIT_S = 25.0
ABORT_WAIT_S = 20.0
PATIENCE_S = 10.0  # a supervisor that lives needs less to end its job; after this Slurm ends the allocation
LOOK_EVERY_S = 0.5

ActiveKey = Callable[[Workspace, Path], "str | None"]


def launch_together(
    workspace: Workspace, requests: list[dict[str, Any]], active_key: ActiveKey
) -> list[dict[str, Any]]:
    """Launch ``requests`` in order; those that name the same array go as one job of that many tasks.

    Once Slurm does not answer, the rest is refused without being claimed.

    Returns:
        for each request ``{"new": bool, "key": ...}`` or ``{"refused": reason}``.
    """
    outcomes: list[dict[str, Any]] = [{} for _ in requests]
    silent = ""
    for group in _groups(requests):
        claims: dict[int, Claim] = {}
        try:
            for at in group:
                outcomes[at] = {"refused": silent}
                if not silent:
                    outcomes[at] = _claim(workspace, requests[at], active_key, claims, at)
            if claims:
                try:
                    _submit(workspace, requests[group[0]], list(claims.values()))
                except (Refused, OSError, slurm.Silent) as error:
                    outcomes = [
                        {"refused": refusal(error, workspace)} if at in claims else said
                        for at, said in enumerate(outcomes)
                    ]
                    silent = str(error) if isinstance(error, slurm.Silent) else ""
        finally:
            for made in claims.values():
                made.release()
    return outcomes


def abort(workspace: Workspace, run_folder: Path, key: str) -> dict[str, Any]:
    """End a run of which it is written that it shall be; returns its state then.

    What waits is taken out of the queue; what runs is told, so that its supervisor records the end, and ended by Slurm
    if that takes too long.

    Raises:
        Refused: Slurm did not answer all the while. The abort stands: the supervisor ends the run when it sees it.
    """
    queue, job = queue_of(workspace), workspace.job(key)
    by = (read_json(job / "abort.json") or {}).get("by", "somebody")
    began = time.monotonic()
    asked: set[tuple[str, bool]] = set()
    while True:
        state = read_json(run_folder / STATE) or {"key": key}
        if state.get("state") in ENDED:
            return state
        look = queue.look(max(began, time.monotonic() - LOOK_EVERY_S))
        live = look.live(key)
        if not look.error and not live:
            lock = take_lock(job / "lock", wait=False)
            if lock is not None:
                try:
                    return end_orphan(run_folder, key, f"aborted by {by}")
                finally:
                    os.close(lock)
        for entry in live:
            gently = entry.state == "RUNNING" and time.monotonic() < began + PATIENCE_S
            if entry.state != "COMPLETING" and (entry.job, gently) not in asked:
                asked.add((entry.job, gently))
                slurm.cancel(entry.job, gently)
        if time.monotonic() > began + ABORT_WAIT_S:
            break
        time.sleep(0.1)
    if look.error:
        raise Refused(f"Slurm does not answer ({look.error}); the run is marked, and ends as soon as it can be reached")
    return state


def _groups(requests: list[dict[str, Any]]) -> list[list[int]]:
    """Indices of the requests by the array they name, in order of first appearance; without one each goes alone."""
    groups: dict[object, list[int]] = {}
    for at, request in enumerate(requests):
        settings = request["slurm"]
        groups.setdefault(repr(sorted(settings.items())) if settings.get("array") else at, []).append(at)
    return list(groups.values())


def _claim(
    workspace: Workspace, request: dict[str, Any], active_key: ActiveKey, claims: dict[int, Claim], at: int
) -> dict[str, Any]:
    """Claim a launch into ``claims[at]``; one that was claimed before, but may never have been handed over, is taken up."""
    deadline = time.monotonic() + CLAIM_WAIT_S
    try:
        while time.monotonic() < deadline:
            made = claim(workspace, request, active_key)
            if not isinstance(made, Claim):
                ours = any(made == other.key for other in claims.values())
                if ours or made != request["key"] or was_submitted(workspace.job(made)):
                    return {"new": False, "key": made}
                taken_up = _take_up(workspace, made)
                if taken_up is None:  # another launch is at it: wait what comes of it
                    time.sleep(0.05)
                    continue
                if not isinstance(taken_up, Claim):
                    return taken_up
                made = taken_up
            claims[at] = made
            return {"new": True, "key": made.key}
    except (Refused, OSError, KeyError, TypeError, ValueError) as error:
        return {"refused": refusal(error, workspace)}
    return {"refused": "another launch of this key is under way"}


def _take_up(workspace: Workspace, key: str) -> Claim | dict[str, Any] | None:
    """Go on where a launch was cut off between claim and submission: Slurm is asked first whether it has the job.

    Raises:
        Refused: Slurm does not answer.
    """
    job = workspace.job(key)
    lock = take_lock(job / "lock", wait=False)
    if lock is None:
        return None
    keep = False
    try:
        spec = read_json(job / "job.json")
        if spec is None or was_submitted(job):
            return None
        run_folder = Path(spec["run_folder"])
        state = read_json(run_folder / STATE) or {}
        if state.get("key") != key or state.get("state") in ENDED:
            return {"new": False, "key": key}
        look = queue_of(workspace).look(time.monotonic())
        if look.error:
            raise Refused(f"Slurm does not answer ({look.error})")
        if found := look.entries.get(key):
            write_json(job / "slurm.json", {"job": found[-1].job, "log": str(job / "slurm.log")})
            return {"new": False, "key": key}
        keep = True
        return Claim(key, job, run_folder, lock, Path(spec["previous"]) if spec.get("previous") else None)
    finally:
        if not keep:
            os.close(lock)


def _submit(workspace: Workspace, request: dict[str, Any], claims: list[Claim]) -> None:
    """Submit the claims as one job, an array if they are several.

    Raises:
        Refused: Slurm does not take it; the claims are undone.
        Silent: Slurm does not answer, and may have it; asked again, the key will be looked up before anything is submitted.
    """
    settings = dict(request["slurm"])
    first, array = claims[0], uuid.uuid4().hex
    alone = len(claims) == 1
    name = str(settings.get("array") or "") if not alone else first.run_folder.name
    if not NAME.match(name):
        _undo(workspace, claims)
        raise Refused(f"not a name for a job: {name!r}")
    supervise = [sys.executable, str(Path(sys.argv[0]).absolute()), "supervise-here", str(workspace.root)]
    command = [shlex.quote(part) for part in (*supervise, first.key if alone else array)]
    log = first.job / "slurm.log"
    if not alone:
        write_json(workspace.arrays / f"{array}.json", {"keys": [made.key for made in claims]})
        command.append('"$SLURM_ARRAY_TASK_ID"')
        log = workspace.arrays / f"{array}_%a.log"
    queue, began = queue_of(workspace), time.monotonic()
    try:
        job = slurm.submit(
            settings,
            name=f"qllm-{name}",
            comment=first.key if alone else array,
            log=log,
            command=command,
            tasks=len(claims),
            locks=[made.lock for made in claims],
        )
    except slurm.Missing as error:
        _undo(workspace, claims)
        raise Refused(f"Slurm does not take it: {error}") from error
    except slurm.NotTaken as error:
        look = queue.look(began)
        look = look if look.error else queue.look(time.monotonic())  # only one that began after the answer is a proof
        if look.error:
            raise slurm.Silent(f"Slurm does not answer ({error})") from error
        if not any(made.key in look.entries for made in claims):
            _undo(workspace, claims)
            raise Refused(f"Slurm does not take it: {error}") from error
        job = ""
    for index, made in enumerate(claims):
        log_of_task = log.with_name(log.name.replace("%a", str(index)))
        write_json(made.job / "slurm.json", {"job": job, "log": str(log_of_task)})  # for people: jobs are found by key


def _undo(workspace: Workspace, claims: list[Claim]) -> None:
    for made in claims:
        made.undo(workspace)
