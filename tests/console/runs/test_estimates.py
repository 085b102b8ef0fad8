"""Expected time and cost: from what runs of the same kind took, and unknown where none tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from console.runs.estimates import MeasuredRuns, RunTimes, estimate, kind_of, run_times
from console.runs.run_view import RunView, reduce
from console.runs.snapshot import HostView, Snapshot
from engine.contract.events import Body, Checkpoint, End, Event, Progress, Stage
from engine.contract.settings import RunId, Settings, resolve, run_ids
from engine.contract.state import RunState
from tests.console.ui.fake_session import SCALING
from tests.console.ui.scenes import finished

RUNS = run_ids(SCALING, "full")
SETTINGS = {run: resolve(SCALING, "full", run) for run in RUNS}
A, B, C = (RunId(name, 42) for name in "ABC")
NOW = 100_000.0  # by the host


def ended(run: RunId, start: float = 1000.0, *, steps: int = 101, step: float = 2.0, after: float = 20.0) -> RunView:
    """Ten seconds before training, ``steps`` of ``step`` seconds, ``after`` seconds after them."""
    first, last = start + 10, start + 10 + step * (steps - 1)
    state = RunState("finished", "k", started_at=start, ended_at=last + after)
    return RunView(run, state, stage="seal", total_steps=steps, first_step=(1, first), last_step=(steps, last))


def trains(run: RunId, at: int, *, steps: int = 101, step: float = 2.0) -> RunView:
    state = RunState("running", "k", started_at=NOW - (at - 1) * step - 10)
    first = (1, NOW - (at - 1) * step)
    return RunView(run, state, stage="train", total_steps=steps, first_step=first, last_step=(at, NOW))


def waits(run: RunId, ticket: int, **fields: Any) -> RunView:
    return RunView(run, RunState("queued", "k", ticket=ticket), **fields)


def snapshot(*views: RunView, slots: int = 1, launcher: str = "ssh", price: float | None = None) -> Snapshot:
    host = HostView("h", "h", launcher, "", slots=slots, price_per_hour=price, currency="EUR" if price else "")
    runs = {run: RunView(run) for run in RUNS} | {view.run: view for view in views}
    return Snapshot(host, "f", "full", runs, {})


def expected(snapshot: Snapshot, settings: Mapping[RunId, Settings] = SETTINGS) -> dict[RunId, RunTimes]:
    return MeasuredRuns(settings, snapshot.runs).expected_of_all(settings)


def test_a_run_takes_what_finished_ones_of_its_kind_took() -> None:
    times = expected(snapshot(ended(A), ended(RunId("A", 123), step=4.0), ended(RunId("A", 456), step=3.0)))
    assert times[A] == RunTimes(10, 3.0, 101, 20, SETTINGS[A].training.epochs)
    assert times[A].total == 10 + 300 + 20
    assert times[C].total is None and times[C].steps is None  # other data: nobody knows how many steps


def test_what_a_run_took_is_read_from_its_events() -> None:
    view = finished(A)
    assert view.state and view.first_step and view.last_step
    state = replace(view.state, started_at=view.first_step[1] - 7, ended_at=view.last_step[1] + 9)
    times = run_times(replace(view, state=state))
    assert (times.before, times.steps, times.after) == (7, 200, 9)
    assert times.step == pytest.approx(1, abs=0.1)  # measurements are a part of it


def test_seed_gates_and_curriculum_do_not_change_how_long_a_run_takes_its_data_and_model_do() -> None:
    one = SETTINGS[A]
    weights = replace(one.curriculum, tier3_adversarial=5.0)
    assert kind_of(replace(one, seed=7, condition="A.2", curriculum=weights)) == kind_of(one)
    assert kind_of(replace(one, model=replace(one.model, embedding_size=8))) != kind_of(one)
    assert kind_of(replace(one, edition="enriched")) != kind_of(one)


def test_more_epochs_are_more_steps_and_a_budget_of_steps_is_its_own() -> None:
    measured = MeasuredRuns(SETTINGS, snapshot(ended(A)).runs)
    epochs = SETTINGS[A].training.epochs
    assert epochs
    longer = replace(SETTINGS[A], training=replace(SETTINGS[A].training, epochs=3 * epochs))
    assert measured.expected(longer).total == 10 + 2 * (3 * 101 - 1) + 20
    short = replace(SETTINGS[A], training=replace(SETTINGS[A].training, epochs=None, steps=40))
    assert measured.expected(short).total == 10 + 78 + 20


def test_without_a_finished_run_of_its_kind_the_pace_of_a_running_one_counts() -> None:
    shot = snapshot(ended(A, after=30.0), trains(B, 51, step=5.0), waits(RunId("B", 123), 1), waits(C, 2))
    times = expected(shot)
    assert times[RunId("B", 123)].total == 10 + 500 + 30  # evaluation as of the finished run
    found = estimate(shot, times, NOW)
    assert found.finish_in == {B: 50 * 5 + 30, RunId("B", 123): 280 + 540}
    assert (found.seconds, found.at_least) == (820, True)  # C comes on top


def test_the_queue_fills_the_slots_in_its_order() -> None:
    one, two, three = (RunId("A", seed) for seed in (42, 123, 456))
    shot = snapshot(ended(B, steps=1), trains(one, 61), waits(two, 9), waits(three, 3), slots=2)
    times = dict.fromkeys(RUNS, RunTimes(0, 1, 101, 0))
    found = estimate(shot, times, NOW)
    assert found.finish_in == {one: 80, three: 100, two: 180}
    assert (found.seconds, found.at_least, found.finished, found.total, found.active) == (180, False, 1, 9, 3)
    one_slot = replace(shot, host=replace(shot.host, slots=1))
    assert estimate(one_slot, times, NOW).finish_in == {one: 80, three: 180, two: 280}


def test_nothing_is_expected_behind_a_run_whose_end_cannot_be_told() -> None:
    shot = snapshot(RunView(A, RunState("running", "k")), waits(B, 1), slots=1)
    found = estimate(shot, {A: RunTimes(), B: RunTimes(0, 1, 11, 0)}, NOW)
    assert (found.finish_in, found.seconds, found.cost) == ({}, None, None)
    shot = snapshot(waits(A, 1), waits(B, 2), waits(C, 3))
    found = estimate(shot, {A: RunTimes(0, 1, 11, 0), C: RunTimes(0, 1, 11, 0)}, NOW)
    assert (found.finish_in, found.seconds, found.at_least) == ({A: 10}, 10, True)


def test_the_order_of_a_cluster_is_its_own() -> None:
    shot = snapshot(trains(A, 51), waits(B, 1), launcher="slurm")
    found = estimate(shot, dict.fromkeys(RUNS, RunTimes(10, 2, 101, 20)), NOW)
    assert found.finish_in == {A: 120} and found.at_least


def test_planned_runs_come_behind_the_queue() -> None:
    shot = snapshot(waits(A, 1))
    found = estimate(shot, dict.fromkeys(RUNS, RunTimes(0, 1, 101, 0)), NOW, planned=(B, C))
    assert found.finish_in == {A: 100, B: 200, C: 300} and found.active == 3


def test_a_run_that_goes_on_from_its_checkpoint_takes_what_is_left() -> None:
    shot = snapshot(waits(A, 1, checkpoint=Checkpoint(60, 3.0, "0")))
    assert estimate(shot, {A: RunTimes(10, 1, 101, 20)}, NOW).seconds == 70


@pytest.mark.parametrize(
    ("stage", "since", "left"),
    [("", 4.0, 226), ("encode", 4.0, 226), ("encode", 400.0, 0), ("evaluate", 5.0, 15), ("seal", 60.0, 0)],
)
def test_a_stage_before_or_after_training_is_part_of_what_was_measured(stage: str, since: float, left: float) -> None:
    trained: dict[str, Any] = (
        {"last_step": (100, NOW - since), "total_steps": 100} if stage in ("evaluate", "seal") else {}
    )
    view = RunView(A, RunState("running", "k", started_at=NOW - since), stage=stage, **trained)
    assert estimate(snapshot(view), {A: RunTimes(10, 2, 101, 20)}, NOW).seconds == left
    assert estimate(snapshot(view), {A: RunTimes(10, 2, 101, 20)}, None).seconds is None


def test_nothing_active_is_nothing_left() -> None:
    found = estimate(snapshot(ended(A)), {}, None)
    assert (found.seconds, found.at_least, found.active) == (0.0, False, 0)


def test_the_cost_is_that_of_the_hours_in_which_any_run_ran() -> None:
    one = RunView(A, RunState("finished", "k", started_at=1000, ended_at=4600))
    overlaps = RunView(B, RunState("failed", "k", started_at=2800, ended_at=6400))
    later = RunView(C, RunState("running", "k", started_at=NOW - 3600))
    found = estimate(snapshot(one, overlaps, later, price=2.0), {}, NOW)
    assert found.spent == 2.0 * (1.5 + 1)
    assert (found.cost, found.currency) == (None, "EUR")  # nobody knows how long C takes
    shot = snapshot(ended(A, steps=91, step=2.0, after=20), trains(RunId("A", 123), 91, steps=91), price=3600.0)
    found = estimate(shot, expected(shot), NOW)
    assert (found.spent, found.cost) == (210.0 + 190.0, 210.0 + 190.0 + 20)


def stopped_after_3_h(state: RunState) -> RunView:
    """A run with ``state`` whose first process began at 2000 and said its last word three hours later."""
    bodies: list[tuple[float, Body]] = [
        (2000.0, Stage("data")),
        (2600.0, Stage("train")),
        (12_800.0, Progress(1, 2, "items")),
    ]
    return reduce(RunView(A, state), [Event(seq, at, body) for seq, (at, body) in enumerate(bodies)])


@pytest.mark.parametrize(
    ("state", "hours"),
    [
        (RunState("aborted", "k", started_at=1994.0, ended_at=12_806.0), 3 + 12 / 3600),
        (RunState("queued", "l", ticket=1), 3),
        (RunState("running", "l", started_at=NOW - 1800), 3 + 0.5),
        (RunState("finished", "l", started_at=30_000, ended_at=37_200), 3 + 2),
    ],
)
def test_a_resumed_run_costs_what_it_ran_before_it_was_stopped_too(state: RunState, hours: float) -> None:
    found = estimate(snapshot(stopped_after_3_h(state), price=2.0), {}, NOW)
    assert found.spent == pytest.approx(2.0 * hours)


def test_each_process_of_a_resumed_run_counts_once_beside_other_runs() -> None:
    view = stopped_after_3_h(RunState("finished", "m", started_at=60_000, ended_at=63_600))
    later: list[tuple[float, Body]] = [
        (40_000.0, Stage("data")),
        (43_600.0, Stage("train")),
        (60_001.0, Stage("data")),
        (63_000.0, End()),
    ]
    for seq, (at, body) in enumerate(later, start=view.next_seq):
        view = reduce(view, [Event(seq, at, body)])
    beside = RunView(B, RunState("failed", "k", started_at=12_000, ended_at=41_800))
    assert view.processes == ((2000.0, 12_800.0), (40_000.0, 43_600.0), (60_001.0, 63_000.0))
    assert estimate(snapshot(view, price=3600.0), {}, NOW).spent == 10_800 + 3600 + 3600
    assert estimate(snapshot(view, beside, price=3600.0), {}, NOW).spent == 43_600 - 2000 + 3600


def test_the_host_costs_also_after_the_last_run_has_ended() -> None:
    one = RunView(A, RunState("finished", "k", started_at=NOW - 9000, ended_at=NOW - 7200))
    last = RunView(B, RunState("failed", "k", started_at=NOW - 9000, ended_at=NOW - 1800))
    assert estimate(snapshot(one, last, price=2.0), {}, NOW).idle == 1.0
    assert estimate(snapshot(one, last, trains(C, 5), price=2.0), {}, NOW).idle is None
    assert estimate(snapshot(one, last, price=2.0), {}, None).idle is None
    assert estimate(snapshot(RunView(A), price=2.0), {}, NOW).idle is None


def test_without_a_price_there_is_no_cost() -> None:
    found = estimate(snapshot(ended(A)), {}, NOW)
    assert (found.spent, found.cost) == (None, None)
    assert estimate(snapshot(ended(A), price=0.0), {}, NOW).spent == 0.0


def test_a_clock_that_was_set_makes_times_unknown_instead_of_negative_or_endless() -> None:
    back = ended(A)
    assert back.state
    view = replace(
        back, state=replace(back.state, started_at=1e9, ended_at=1e9 + 5)
    )  # of another clock than its events
    shot = snapshot(view, trains(B, 50), waits(RunId("A", 123), 1), price=1.0)
    times = expected(shot)
    assert times[A].before is None and times[A].after is None
    found = estimate(shot, times, NOW)
    assert (found.seconds, found.cost) == (None, None) and found.spent is not None and found.spent > 0
    stood = replace(trains(B, 50), last_step=(50, NOW - 1e6))  # steps that go back in time
    assert expected(snapshot(stood))[B].step is None
