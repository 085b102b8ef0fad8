"""Transitions: what happened between two snapshots is named once, what was so before is not."""

from __future__ import annotations

import itertools

import pytest
from msgspec.structs import replace

from console.runs.run_view import MAX_WARNINGS, RunView
from console.runs.snapshot import HostView, Snapshot, SyncState
from console.runs.transitions import Transition, state_counts, transitions
from engine.contract.events import Warning
from engine.contract.settings import RunId
from engine.contract.state import RunState

A, B = RunId("A", 42), RunId("B", 42)
HOST = HostView("h", "RAMP", "ssh", "", link="up", last_reply_at=1.0, runs_reported=True, history_known=True)


def snapshot(*views: RunView, host: HostView = HOST) -> Snapshot:
    """A snapshot of these views; A and B are not launched otherwise."""
    runs = {run: RunView(run) for run in (A, B)} | {view.run: view for view in views}
    return Snapshot(host, "scaling", "full", runs, dict.fromkeys(runs, SyncState()))


def in_state(run: RunId, state: str, key: str = "k", **fields: object) -> RunView:
    return RunView(run, RunState(state, key, **fields))  # type: ignore[arg-type]


def kinds(old: Snapshot, new: Snapshot) -> list[tuple[str, str]]:
    return [(one.kind, one.run.label if one.run else "") for one in transitions(old, new)]


@pytest.mark.parametrize("end", ["finished", "failed", "aborted", "lost"])
def test_the_end_of_a_run_is_named_with_its_reason(end: str) -> None:
    old = snapshot(in_state(A, "running"), in_state(B, "queued"))
    new = snapshot(in_state(A, end, reason="out of memory"), in_state(B, "running"))
    assert transitions(old, new) == (
        Transition(end, f"A/42 {end}: out of memory", A),  # type: ignore[arg-type]
        Transition("started", "B/42 started", B),
    )


def test_nothing_is_named_of_what_was_so_when_the_host_first_reported() -> None:
    unreported = replace(HOST, link="connecting", runs_reported=False, history_known=False)
    old = snapshot(in_state(A, "running"), host=unreported)
    assert transitions(old, snapshot(in_state(A, "finished"), in_state(B, "failed"))) == ()


def test_a_heartbeat_and_a_reason_of_a_running_run_are_no_transition() -> None:
    old = snapshot(in_state(A, "running", heartbeat=1))
    assert transitions(old, snapshot(in_state(A, "running", heartbeat=2, reason="stopped by a signal"))) == ()


def test_another_launch_of_a_run_in_the_same_state_is_a_transition() -> None:
    assert kinds(snapshot(in_state(A, "finished", "k1")), snapshot(in_state(A, "finished", "k2"))) == [
        ("finished", "A/42")
    ]


def test_the_last_end_is_the_end_of_all() -> None:
    running = snapshot(in_state(A, "finished"), in_state(B, "running"))
    ended = snapshot(in_state(A, "finished"), in_state(B, "failed"))
    assert [one.text for one in transitions(running, ended)] == ["B/42 failed", "All 2 runs ended"]
    assert transitions(ended, ended) == ()


def test_runs_that_were_not_launched_are_counted_apart() -> None:
    found = transitions(snapshot(in_state(A, "running")), snapshot(in_state(A, "finished")))
    assert found[-1].text == "The launched run ended, 1 not launched"


def test_a_lost_run_that_may_be_taken_back_has_not_ended_for_good() -> None:
    old = snapshot(in_state(A, "running"))
    assert kinds(old, snapshot(in_state(A, "lost", supervised=True))) == [("lost", "A/42")]
    assert kinds(old, snapshot(in_state(A, "lost"))) == [("lost", "A/42"), ("all ended", "")]


def test_a_host_is_lost_and_back_once_each() -> None:
    up, lost = snapshot(), snapshot(host=replace(HOST, link="lost", detail="reset; trying again in 2 s"))
    assert [one.text for one in transitions(up, lost)] == ["RAMP: the link is lost: reset; trying again in 2 s"]
    assert transitions(lost, replace(lost, host=replace(lost.host, detail="connecting"))) == ()
    assert kinds(lost, up) == [("host back", "")]


def test_a_host_that_was_never_reached_is_neither_lost_nor_back() -> None:
    first = snapshot(host=replace(HOST, link="connecting", last_reply_at=0.0, runs_reported=False))
    failed = snapshot(host=replace(first.host, link="lost"))
    assert transitions(first, failed) == ()
    assert transitions(failed, snapshot()) == ()


def test_each_new_warning_is_named_also_beyond_the_number_that_is_kept() -> None:
    warnings = tuple(Warning("loss_spike", f"spike {number}") for number in range(MAX_WARNINGS + 3))
    running = in_state(A, "running")
    few, more = replace(running, warnings=warnings[:1]), replace(running, warnings=warnings[:3])
    assert [one.text for one in transitions(snapshot(few), snapshot(more))] == ["A/42: spike 1", "A/42: spike 2"]
    full = replace(running, warnings=warnings[:MAX_WARNINGS])
    beyond = replace(running, warnings=warnings[-MAX_WARNINGS:])
    assert len(transitions(snapshot(full), snapshot(beyond))) == 3


def test_warnings_of_a_history_that_still_arrives_are_not_new() -> None:
    reading = replace(HOST, history_known=False)
    running = in_state(A, "running")
    new = snapshot(replace(running, warnings=(Warning("dilution", "old"),)))
    assert transitions(snapshot(running, host=reading), new) == ()
    assert kinds(snapshot(running), new) == [("warning", "A/42")]


@pytest.mark.parametrize("state", [None, RunState("lost", "", reason="state.json is empty")])
def test_known_warnings_beside_a_state_that_is_missing_or_unreadable_are_not_new(state: RunState | None) -> None:
    running = replace(in_state(A, "running"), warnings=(Warning("dilution", "known"),))
    stateless = replace(running, state=state)
    shots = [snapshot(one) for one in (running, stateless, stateless, running)]
    found = [one.kind for old, new in itertools.pairwise(shots) for one in transitions(old, new)]
    assert "warning" not in found


def test_the_same_warning_of_another_launch_is_new() -> None:
    warned = replace(in_state(A, "running", "k1"), warnings=(Warning("dilution", "thin"),))
    again = replace(warned, state=RunState("running", "k2"))
    assert ("warning", "A/42") in kinds(snapshot(warned), snapshot(again))


def test_runs_that_were_added_are_not_news() -> None:
    added = RunId("B.2", 42)
    assert transitions(snapshot(), snapshot(in_state(added, "finished"))) == ()


def test_states_are_counted_in_the_order_of_a_runs_life() -> None:
    assert state_counts(snapshot(in_state(A, "failed"))) == {"failed": 1, "none": 1}
