"""Events are reduced to a view, in any batches, at a cost that does not grow."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.runs.run_view import ELAPSED, STEP, RunView, fraction_done, reduce, training_seconds_left
from engine.contract.events import BaselineScores, Body, End, Event, Progress, SetScores, Stage, Step, Warning
from engine.contract.settings import RunId
from engine.pipeline.event_log import EventWriter
from tests.measurements import measurement

EMPTY = RunView(RunId("A", 42))


def events(*bodies: Body) -> list[Event]:
    return [Event(number, 10.0 * number, body) for number, body in enumerate(bodies)]


def step(number: int, loss: float = 1.0) -> Step:
    return Step(number, 10, 1, loss, 1e-3, {"tier1_easy": 3, "tier2_robust": 1})


STREAM = events(Stage("data"), Progress(1, 4, "texts"), Stage("train"), *(step(n) for n in range(1, 6)), End(("x",)))


@given(st.lists(st.integers(0, len(STREAM))))
def test_reducing_in_parts_or_again_is_reducing_once(cuts: list[int]) -> None:
    view, start = EMPTY, 0
    for end in [*sorted(cuts), len(STREAM)]:
        view = reduce(view, STREAM[:end])  # from the beginning each time: what was seen is ignored
        view = reduce(view, STREAM[start:end])
        start = end
    assert view == reduce(EMPTY, STREAM)


@given(st.lists(st.integers(0, len(STREAM))))
def test_older_views_do_not_change_and_can_be_continued_apart(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(STREAM)]
    views = [EMPTY]
    for start, end in pairwise(ends):
        views.append(reduce(views[-1], STREAM[start:end]))
    other = [Event(event.seq, event.t, step(99)) for event in STREAM]
    branches = [reduce(view, other[end:]) for view, end in zip(views, ends, strict=True)]
    for view, branch, end in zip(views, branches, ends, strict=True):
        assert view == reduce(EMPTY, STREAM[:end])
        assert branch == reduce(EMPTY, STREAM[:end] + other[end:])


def test_views_without_steps_share_nothing() -> None:
    assert reduce(EMPTY, STREAM).losses and not EMPTY.losses and not RunView(RunId("B", 42)).losses


def test_events_seen_before_leave_the_very_same_view() -> None:
    view = reduce(EMPTY, STREAM)
    assert reduce(view, STREAM) is view


def test_a_view_tells_stage_curve_and_end() -> None:
    view = reduce(EMPTY, STREAM)
    assert (view.stage, list(view.losses.points()[0]), view.failed_gates) == ("train", [1, 2, 3, 4, 5], ("x",))
    assert (view.first_step, view.last_step, view.evaluated) == ((1, 30.0), (5, 70.0), True)


def test_progress_is_of_the_present_stage() -> None:
    assert fraction_done(EMPTY) is None
    assert fraction_done(reduce(EMPTY, STREAM[:2])) == 0.25
    assert fraction_done(reduce(EMPTY, STREAM[:3])) is None
    assert fraction_done(reduce(EMPTY, STREAM[:5])) == 0.2


def test_time_left_is_at_the_pace_so_far() -> None:
    assert training_seconds_left(reduce(EMPTY, STREAM[:4])) is None, "one step has no pace"
    assert training_seconds_left(reduce(EMPTY, STREAM[:6])) == pytest.approx(7 * 10.0)


def test_time_left_of_a_resumed_run_is_at_its_pace_since_then() -> None:
    before = events(Stage("train"), step(1), step(2))
    view = reduce(EMPTY, before)
    assert training_seconds_left(view) == pytest.approx(8 * 10.0)
    resumed = [Event(3, 200_000.0, Stage("train")), Event(4, 200_002.0, step(2))]
    view = reduce(view, resumed)
    assert training_seconds_left(view) is None, "one step has no pace"
    view = reduce(view, [Event(5, 200_004.0, step(3))])
    assert training_seconds_left(view) == pytest.approx(7 * 2.0)
    assert view == reduce(EMPTY, [*before, *resumed, Event(5, 200_004.0, step(3))])


def resumed(*before: Body, replayed: tuple[Body, ...]) -> list[Event]:
    """Events of a run that was killed after ``before``, and of the process that went on from its checkpoint later."""
    first = events(*before)
    return first + [Event(len(first) + at, 9e5 + 10.0 * at, body) for at, body in enumerate(replayed)]


REPLAYED = resumed(
    *(Stage("train"), step(1), step(2), measurement(2), step(3), step(4), measurement(4, top1=0.1)),
    replayed=(Stage("train"), step(3, 0.5), step(4, 0.25), measurement(4, top1=0.2), step(5, 0.125)),
)


@given(st.lists(st.integers(0, len(REPLAYED))))
def test_a_step_that_a_resumed_run_takes_again_replaces_the_first_one(cuts: list[int]) -> None:
    view = EMPTY
    for end in [*sorted(cuts), len(REPLAYED)]:
        view = reduce(view, REPLAYED[:end])
        numbers, seconds = view.steps.column(STEP), view.steps.column(ELAPSED)
        assert list(numbers) == sorted(set(numbers)) and list(seconds) == sorted(seconds)
    steps, losses = view.losses.points()
    assert (list(steps), list(losses)) == ([1, 2, 3, 4, 5], [1, 1, 0.5, 0.25, 0.125])
    assert [(one.step, one.top1) for one in view.measurements][1:] == [(4, 0.2)]
    assert view.losses.y_at(3) == 0.5 and view.last_step == (5, 9e5 + 40)


def test_steps_after_the_checkpoint_do_not_count_as_training_until_they_are_taken_again() -> None:
    seconds = reduce(EMPTY, REPLAYED).steps.column(ELAPSED)
    assert list(seconds) == [0, 10, 10, 20, 40], (
        "those of the lost steps and of the time between the processes are left out"
    )


def test_a_run_that_begins_anew_without_a_checkpoint_has_only_its_new_steps() -> None:
    before = (Stage("train"), measurement(0), step(1), step(2), step(3))
    view = reduce(EMPTY, resumed(*before, replayed=(Stage("train"), measurement(0), step(1, 0.5))))
    assert [list(column) for column in view.losses.points()] == [[1], [0.5]]
    assert [one.step for one in view.measurements] == [0]


def test_a_view_before_a_replayed_step_keeps_its_steps() -> None:
    before = reduce(EMPTY, REPLAYED[:7])
    reduce(before, REPLAYED)
    assert [list(column) for column in before.losses.points()] == [[1, 2, 3, 4], [1, 1, 1, 1]]


@pytest.mark.fault("the host's clock jumps by 55 hours", "no time shown is wrong by them")
@pytest.mark.parametrize("jump", [200_000.0, -200_000.0])
def test_time_left_does_not_jump_with_the_host_s_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    clocks = {"time": 1e9, "monotonic": 50.0}
    monkeypatch.setattr(time, "time", lambda: clocks["time"])
    monkeypatch.setattr(time, "monotonic", lambda: clocks["monotonic"])
    writer, written = EventWriter(tmp_path / "events.jsonl"), []
    bodies: list[Body] = [Stage("train"), *(step(number) for number in range(1, 6))]
    for body in bodies:
        written.append(writer.write(body))
        passed = jump if body == step(3) else 0.0
        clocks.update(time=clocks["time"] + 10.0 + passed, monotonic=clocks["monotonic"] + 10.0)
    assert training_seconds_left(reduce(EMPTY, written)) == pytest.approx(5 * 10.0)
    assert written[0].t == 1e9


def test_a_run_beyond_its_total_is_done_and_has_no_time_left() -> None:
    assert fraction_done(reduce(EMPTY, events(Stage("data"), Progress(5, 3, "texts")))) == 1.0
    beyond = reduce(EMPTY, events(Stage("train"), step(1), step(11)))
    assert (fraction_done(beyond), training_seconds_left(beyond)) == (1.0, 0.0)
    assert fraction_done(reduce(EMPTY, events(Stage("data"), Progress(0, 0, "texts")))) is None


def test_no_text_of_an_event_steers_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07a\nb\u202e"
    hostile_events = events(
        Stage("data", hostile), Progress(1, 2, hostile), Warning("loss_spike", hostile), End((hostile, "coherence"))
    )
    view = reduce(EMPTY, hostile_events)
    assert view.progress and (view.stage_note, view.progress.unit, view.warnings[0].message) == ("a b",) * 3
    assert view.failed_gates == ("a b", "coherence")
    sets, tiers = (SetScores(hostile, 0.5),), {hostile: 0.5}
    chance = BaselineScores(0.5, tiers, 0.5, sets)
    named: dict[str, Any] = {
        "score_name": hostile,
        "sets": sets,
        "mean_pool_sets": sets,
        "tiers": tiers,
        "mean_pool_tiers": tiers,
    }
    (seen,) = reduce(EMPTY, events(measurement(chance=chance, **named))).measurements
    assert seen.chance is not None
    assert {one.name for one in (*seen.sets, *seen.mean_pool_sets, *seen.chance.sets)} == {"a b"}
    assert {*seen.tiers, *seen.mean_pool_tiers, *seen.chance.tiers, seen.score_name} == {"a b"}


def test_warnings_are_bounded() -> None:
    many = events(*(Warning("loss_spike", str(number)) for number in range(500)))
    assert [warning.message for warning in reduce(EMPTY, many).warnings][-1] == "499"
    assert len(reduce(EMPTY, many).warnings) == 100


@given(st.sets(st.integers(1, 8)))
def test_a_warning_that_a_resumed_run_gives_again_stands_once(cuts: set[int]) -> None:
    spike, gap = Warning("loss_spike", "loss 9", 2, 9.0), Warning("early_warning", "30% of hard pairs", 3, 0.3)
    stream = events(
        Stage("data"), step(1), step(2), spike, step(3), gap, Stage("data"), step(2), spike, step(3), gap, End(())
    )
    view, places = EMPTY, [0, *sorted(cuts), len(stream)]
    for begin, end in pairwise(places):
        view = reduce(view, stream[begin:end])
    assert (view.warnings, view.warning_times) == ((spike, gap), (30.0, 50.0))
