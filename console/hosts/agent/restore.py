"""Brings back a run that a later launch has set aside; the present one is set aside in its place."""

from __future__ import annotations

import ctypes
import heapq
import os
import re
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from console.hosts.agent.claims import free_name, hold_present, present_launch, settle_others, with_queue_locked
from console.hosts.agent.launches import Launch, settle
from console.hosts.agent.locks import run_locked
from console.hosts.agent.run_states import current_state
from console.hosts.agent.state_file import valid_state
from console.hosts.agent.workspace import NotStarted, Refused, Workspace
from engine.contract.durable import sync_folder
from engine.contract.run_folder import CHECKPOINT, METRICS

MAX_LISTED = 100  # of one run: a reply is bounded
MAX_REASON = 300  # characters
AT_FDCWD, EXCHANGE = -100, 2  # of renameat2(2)
SUFFIX = re.compile(r"(?:[0-9a-f]{32}|unknown-[0-9]+)(?:\.[0-9]+)?\Z")


def list_set_aside(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """What was set aside of ``run`` in ``folder``, the newest ``MAX_LISTED`` first.

    Returns:
        ``launches``: of each its ``key``, by which it can be restored, ``state``, ``reason``, ``ended_at``, and whether it
        has ``results`` and a ``checkpoint``; ``present``: the key of the run's present launch.
    """
    run_folder = workspace.run(str(request["folder"]), str(request["run"]))
    found = []
    with suppress(FileNotFoundError), os.scandir(_previous(run_folder)) as entries:
        for entry in entries:
            key = entry.name[len(run_folder.name) + 1 :]
            if entry.name == f"{run_folder.name}-{key}" and SUFFIX.match(key) and entry.is_dir(follow_symlinks=False):
                found.append((entry.stat().st_ctime_ns, key))  # a rename sets it: when the run was set aside
    launches = [_described(_previous(run_folder), run_folder.name, key) for _, key in heapq.nlargest(MAX_LISTED, found)]
    return {"launches": launches, "present": str(valid_state(run_folder).get("key", ""))}


def _described(previous: Path, run: str, key: str) -> dict[str, Any]:
    folder = previous / f"{run}-{key}"
    state = valid_state(folder)
    return {
        "key": key,
        "state": str(state.get("state", ""))[:MAX_REASON],
        "reason": str(state.get("reason", ""))[:MAX_REASON],
        "ended_at": state.get("ended_at") if isinstance(state.get("ended_at"), float) else 0.0,
        "results": (folder / METRICS).is_file(),
        "checkpoint": (folder / CHECKPOINT).is_file(),
    }


def restore(workspace: Workspace, request: dict[str, Any]) -> dict[str, Any]:
    """Exchange the present run for the one that was set aside as ``key``; asked again, it stays as it is.

    Args:
        request: ``folder``, ``run``, ``key``; ``replaces``: key of the present launch that the operator saw.

    Returns:
        ``{"key": ..., "state": ...}`` of the run's present launch.

    Raises:
        Refused: nothing was set aside under that key, the run is active, or its present launch is another one.
    """
    run_folder = workspace.run(str(request["folder"]), str(request["run"]))
    key, replaces = str(request["key"]), str(request["replaces"])
    if not SUFFIX.match(key):
        raise Refused(f"not the key of a launch that was set aside: {key!r}")
    return with_queue_locked(workspace, lambda: _restore(workspace, run_folder, key, replaces))


def _restore(workspace: Workspace, run_folder: Path, key: str, replaces: str) -> dict[str, Any]:
    settle_others(workspace, "", run_folder)
    present = present_launch(workspace, run_folder)
    previous = _previous(run_folder)
    source = previous / f"{run_folder.name}-{key}"
    held_key = str(valid_state(source).get("key", ""))
    if present.key == key.partition(".")[0] != held_key:  # restored before, by a request that may have been interrupted
        if workspace.is_key(held_key):
            source.rename(free_name(previous, run_folder.name, held_key))
        return _state(workspace, run_folder)
    if not source.is_dir():
        raise Refused(f"nothing of this run was set aside as {key}")
    if present.active:
        raise Refused("the run is queued or runs: abort it first")
    if run_folder.exists() and present.key != replaces:
        raise Refused("the run was launched or restored meanwhile; list again what was set aside, then restore")
    with ExitStack() as held:
        lock = hold_present(workspace, run_folder, present.key, held)
        if lock is not None:
            with suppress(OSError, NotStarted):
                settle(Launch(workspace, present.key), lock, queue_is_locked=True, start=False)
        if run_folder.exists():
            with run_locked(run_folder):
                # at once: a host that fails here leaves either the one or the other in place, and never none
                exchange(source, run_folder)
            source.rename(free_name(previous, run_folder.name, present.key))
        else:
            source.rename(run_folder)
        sync_folder(previous)
        sync_folder(run_folder.parent)
    return _state(workspace, run_folder)


def exchange(one: Path, other: Path) -> None:
    """Exchange the names of two folders, atomically where the system can do that.

    Raises:
        OSError: they are as they were.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None and renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE) == 0:
        return
    aside = one.with_name(f"{one.name}.exchanged")
    other.rename(aside)
    try:
        one.rename(other)
    except OSError:
        aside.rename(other)
        raise
    aside.rename(one)


def _previous(run_folder: Path) -> Path:
    return run_folder.parent / ".previous"


def _state(workspace: Workspace, run_folder: Path) -> dict[str, Any]:
    recorded = valid_state(run_folder)
    state = current_state(workspace, run_folder, recorded) if recorded.get("key") else recorded
    return {"key": str(state.get("key", "")), "state": str(state.get("state", ""))}
