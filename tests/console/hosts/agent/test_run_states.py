"""A supervisor that stands still is found."""

from __future__ import annotations

from typing import Any

from console.hosts.agent.run_states import HeartbeatWatch

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
