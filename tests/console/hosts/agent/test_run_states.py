"""A supervisor that stands still is found, and its run can still be aborted."""

from __future__ import annotations

import os
import signal
from typing import Any

import psutil

from console.hosts.agent.run_states import HeartbeatWatch
from console.hosts.remote.agent_client import AgentClient
from tests.console.hosts.conftest import in_state, launch, states_when

RUNNING: dict[str, Any] = {"state": "running", "key": "k", "supervisor": {"pid": 1}}


def test_a_run_whose_heartbeat_stands_still_is_lost_until_it_advances(monkeypatch: Any) -> None:
    now = 100.0
    monkeypatch.setattr("console.hosts.agent.run_states.time.monotonic", lambda: now)
    watch = HeartbeatWatch(stale=30.0)
    assert watch.judge({**RUNNING, "heartbeat": 1})["state"] == "running"
    now = 129.0
    assert watch.judge({**RUNNING, "heartbeat": 1})["state"] == "running"
    assert watch.judge({**RUNNING, "heartbeat": 2})["state"] == "running"
    now = 158.9
    assert watch.judge({**RUNNING, "heartbeat": 2})["state"] == "running"
    now = 159.1
    lost = watch.judge({**RUNNING, "heartbeat": 2})
    assert (lost["state"], lost["reason"]) == ("lost", "its supervisor stands still: no heartbeat for 30 s")
    assert watch.judge({**RUNNING, "heartbeat": 3})["state"] == "running", "it moves again"


def test_a_run_that_ended_needs_no_heartbeat(monkeypatch: Any) -> None:
    now = 0.0
    monkeypatch.setattr("console.hosts.agent.run_states.time.monotonic", lambda: now)
    watch = HeartbeatWatch(stale=1.0)
    finished = {**RUNNING, "state": "finished"}
    watch.judge(finished)
    now = 100.0
    assert watch.judge(finished) == finished


async def test_a_run_whose_supervisor_stands_still_can_be_aborted(link: AgentClient) -> None:
    key = await launch(link, "A_seed1", "import time; time.sleep(600)")
    states = await states_when(
        link, lambda states: in_state("A_seed1", "running")(states) and bool(states["A_seed1"].get("job"))
    )
    supervisor, job = states["A_seed1"]["supervisor"]["pid"], states["A_seed1"]["job"]["pid"]
    os.kill(supervisor, signal.SIGSTOP)
    state = await link.request("abort", key=key, by="the test")
    assert state["state"] == "aborted"
    for pid in (supervisor, job):
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
