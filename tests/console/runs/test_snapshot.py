"""Sync status of all runs: what counts as due and as synced, and its numbers."""

from __future__ import annotations

import pytest

from console.runs.run_view import RunView
from console.runs.snapshot import HostView, Snapshot, SyncState, SyncStatus, sync_status
from engine.contract.settings import RunId
from engine.contract.state import RunState

RUN, OTHER = RunId("A", 42), RunId("B", 42)
HERE = SyncState("synced", 9, 9, 1000, 1000)


def verdict(state: str, synced: SyncState, *, runs_reported: bool = True) -> SyncStatus:
    """Of that run beside one that ended and is synced."""
    now = RunState(state, "k") if state else None  # type: ignore[arg-type]
    runs = {OTHER: RunView(OTHER, RunState("finished", "k")), RUN: RunView(RUN, now)}
    host = HostView("here", "here", "embedded", "", runs_reported=runs_reported)
    return sync_status(Snapshot(host, "folder", "demo", runs, {OTHER: HERE, RUN: synced}))


@pytest.mark.parametrize("state", ["finished", "failed", "aborted"])
@pytest.mark.parametrize("status", ["not synced", "syncing", "pulling", "damaged", "synced"])
def test_a_sealed_run_is_due_and_synced_only_when_its_capsule_is_local(state: str, status: str) -> None:
    found = verdict(state, SyncState(status, 9, 9, 500, 1000))  # type: ignore[arg-type]
    assert found.due == (OTHER, RUN)
    assert found.full is (status == "synced") and (RUN in found.synced) is (status == "synced")
    assert (RUN in found.not_synced) is (status in ("not synced", "syncing", "pulling"))
    assert (RUN in found.damaged) is (status == "damaged")


@pytest.mark.parametrize("state", ["", "queued", "running", "lost"])
def test_a_run_without_a_seal_is_not_due(state: str) -> None:
    found = verdict(state, SyncState("syncing", bytes_done=34, as_of=2.0))
    assert found.due == (OTHER,) and found.full
    assert (found.growing, found.growing_bytes) == (((RUN,), 34) if state == "running" else ((), 0))
    assert (found.unsealed, found.unsealed_bytes) == (((RUN,), 34) if state == "lost" else ((), 0))


def test_numbers_are_those_of_synced_runs() -> None:
    assert (verdict("failed", HERE).files, verdict("failed", HERE).bytes) == (18, 2000)
    assert (verdict("failed", SyncState("pulling", 0, 9, 500, 1000)).files) == 9


def test_without_an_answer_of_the_host_nothing_is_full() -> None:
    assert not verdict("finished", HERE, runs_reported=False).full
