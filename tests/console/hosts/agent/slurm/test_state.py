"""What a look at Slurm's queue adds to what a run's supervisor recorded."""

from __future__ import annotations

from typing import Any

import pytest

from console.hosts.agent.slurm.queue import Entry
from console.hosts.agent.slurm.state import _with_queue_entry

WHO = {"pid": 1, "start": 2, "boot": "b"}
RUNNING: dict[str, Any] = {"state": "running", "key": "k", "reason": "", "supervisor": WHO, "job": WHO}


@pytest.mark.parametrize("waiting", ["PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"])
def test_what_ran_and_waits_again_is_queued_and_its_old_processes_are_nobodys(waiting: str) -> None:
    state = _with_queue_entry(RUNNING, Entry("7", waiting, "BeginTime"), supervised=False)
    assert (state["state"], state["reason"]) == ("queued", "waits in Slurm's queue: BeginTime")
    assert state["supervisor"] is None and state["job"] is None


def test_a_look_that_is_older_than_the_start_takes_nothing_back() -> None:
    assert _with_queue_entry(RUNNING, Entry("7", "PENDING", "Resources"), supervised=True) == RUNNING


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETING", "CONFIGURING", "STAGE_OUT"])
def test_while_slurm_runs_it_the_supervisor_has_the_word(state: str) -> None:
    assert _with_queue_entry(RUNNING, Entry("7", state, "None"), supervised=False) == RUNNING


def test_a_suspended_run_is_not_taken_for_one_that_stands_still() -> None:
    state = _with_queue_entry(RUNNING, Entry("7", "SUSPENDED", "None"), supervised=True)
    assert (state["state"], state["reason"], state["supervisor"]) == ("running", "suspended by Slurm", None)
