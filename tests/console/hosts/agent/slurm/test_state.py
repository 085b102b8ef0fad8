"""What a look at Slurm's queue adds to what a run's supervisor recorded."""

from __future__ import annotations

from typing import Any

import pytest

from console.hosts.agent.slurm.queue import Entry
from console.hosts.agent.slurm.state import _with_queue_entry

WHO = {"pid": 1, "start": 2, "boot": "b"}
RUNNING: dict[str, Any] = {"state": "running", "key": "k", "reason": "", "supervisor": WHO, "job": WHO}


@pytest.mark.parametrize("waiting", ["PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"])
def test_a_requeued_run_is_queued_without_the_processes_of_its_earlier_attempt(waiting: str) -> None:
    state = _with_queue_entry(RUNNING, Entry("7", waiting, "BeginTime"), supervised=False)
    assert (state["state"], state["reason"]) == (
        "queued",
        "waits in Slurm's queue: BeginTime (its start time has not come)",
    )
    assert state["supervisor"] is None and state["job"] is None


def test_a_queue_snapshot_older_than_the_start_does_not_make_the_run_queued() -> None:
    assert _with_queue_entry(RUNNING, Entry("7", "PENDING", "Resources"), supervised=True) == RUNNING


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETING", "CONFIGURING", "STAGE_OUT"])
def test_while_slurm_runs_the_job_the_recorded_state_stands(state: str) -> None:
    assert _with_queue_entry(RUNNING, Entry("7", state, "None"), supervised=False) == RUNNING


def test_a_suspended_run_is_not_lost_for_its_missing_heartbeat() -> None:
    state = _with_queue_entry(RUNNING, Entry("7", "SUSPENDED", "None"), supervised=True)
    assert (state["state"], state["reason"], state["supervisor"]) == ("running", "suspended by Slurm", None)
