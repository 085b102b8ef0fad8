"""How long a run has been in its stage, whatever the host's clock says."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from console.runs.run_view import RunView
from console.ui.pane import StageClock
from engine.contract.events import Stage, Step, Warning
from engine.contract.settings import RunId
from engine.contract.state import RunState
from tests.console.ui.scenes import view_of

RUN, OTHER = RunId("A", 42), RunId("B", 42)
BEGAN = 1000.0  # by the host's clock, as ``view_of`` has it


def seen(skew: float, *views: tuple[RunView, float]) -> StageClock:
    """A clock that saw ``views``, each so many seconds after ``BEGAN``; the host's clock is ``skew`` behind ours."""
    clock = StageClock()
    for view, after in views:
        clock.update([view], BEGAN + skew + after)
    return clock


@pytest.mark.parametrize("skew", [0.0, 86_400.0, -86_400.0])
def test_a_stage_seen_from_its_beginning_is_as_old_as_it_is_even_if_the_clocks_differ(skew: float) -> None:
    view = view_of(RUN, "running", [Stage("data")])
    clock = seen(skew, (view, 0.5), (view, 20.0))
    assert clock.seconds(view, BEGAN + skew + 41.5) == pytest.approx(41.0)


@pytest.mark.parametrize("skew", [0.0, 86_400.0])
def test_a_new_event_of_another_run_gives_the_age_of_a_stage_that_began_before_the_console_connected(
    skew: float,
) -> None:
    view = view_of(RUN, "running", [Stage("data")])
    clock = seen(skew, (view, 300.0))
    assert clock.seconds(view, BEGAN + skew + 300.0) == 0.0
    clock.update([view_of(OTHER, "running", [Stage("data")] * 311)], BEGAN + skew + 310.0)
    assert clock.seconds(view, BEGAN + skew + 320.0) == pytest.approx(320.0)


@pytest.mark.fault("the host's clock jumps by 55 hours", "no time shown is wrong by them")
@pytest.mark.parametrize("jump", [200_000.0, -900.0])
def test_the_host_s_clock_set_between_two_starts_changes_no_time_of_either(jump: float) -> None:
    first = view_of(RUN, "running", [Stage("data")])
    encoding = view_of(RUN, "running", [Stage("data"), Stage("encode")])
    clock = seen(0.0, (first, 0.0), (encoding, 1.0))
    other = replace(view_of(OTHER, "running", [Stage("data")]), last_event=BEGAN + jump)
    clock.update([other], BEGAN + 50.0)
    clock.update([replace(other, last_event=BEGAN + jump + 5.0)], BEGAN + 55.0)
    assert clock.seconds(encoding, BEGAN + 60.0) == pytest.approx(59.0)
    assert clock.seconds(other, BEGAN + 60.0) == pytest.approx(10.0)


def test_another_stage_and_another_launch_start_at_zero() -> None:
    first = view_of(RUN, "running", [Stage("data")])
    second = view_of(RUN, "running", [Stage("data"), Stage("encode")])
    clock = seen(0.0, (first, 0.0), (second, 1.0))
    assert clock.seconds(second, BEGAN + 11.0) == pytest.approx(10.0)
    third = view_of(RUN, "running", [Stage("data"), *[Stage("encode")] * 30], key="another")
    clock.update([third], BEGAN + 30.0)
    assert clock.seconds(third, BEGAN + 35.0) == pytest.approx(5.0)


def test_other_events_of_a_stage_do_not_restart_it() -> None:
    first = view_of(RUN, "running", [Stage("data")])
    warned = view_of(RUN, "running", [Stage("data"), *[Warning("dilution", "w", 0, 1.0)] * 5])
    clock = seen(0.0, (first, 0.0), (warned, 5.0))
    assert clock.seconds(warned, BEGAN + 9.0) == pytest.approx(9.0)


def test_where_the_steps_of_training_tell_more_or_nothing_runs_there_is_no_time() -> None:
    for view in (
        view_of(RUN, "running", [Stage("train"), Step(1, 10, 1, 0.5, 1e-3, {})]),
        view_of(RUN, "queued"),
        view_of(RUN, "finished", [Stage("data")]),
        RunView(RUN),
    ):
        assert seen(0.0, (view, 1.0)).seconds(view, BEGAN + 2.0) is None


def test_a_run_without_events_counts_from_its_start() -> None:
    view = RunView(RUN, state=RunState("running", "k", started_at=BEGAN))
    assert seen(0.0, (view, 0.0)).seconds(view, BEGAN + 7.0) == pytest.approx(7.0)


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan, 1e300])
def test_a_time_that_no_clock_shows_is_no_news_and_leaves_the_other_runs_theirs(odd: float) -> None:
    broken = RunView(OTHER, state=RunState("running", "k", started_at=odd))
    view = view_of(RUN, "running", [Stage("data")])
    clock = seen(0.0, (view, 0.0), (broken, 1.0))
    assert clock.seconds(broken, BEGAN + 5.0) is None
    assert clock.seconds(view, BEGAN + 5.0) == pytest.approx(5.0)
