"""Warnings: every kind has a meaning and the threshold by which the engine gives it; all of them newest first."""

from __future__ import annotations

from typing import get_args, get_type_hints

from msgspec.structs import replace

from console.runs.run_view import MAX_WARNINGS, RunView, reduce
from console.runs.warnings import KINDS, UNREAD, RunWarning, all_warnings
from engine.contract.events import Event, Warning
from engine.contract.settings import RunId
from engine.training.guardrails import (
    DILUTION_LEVELS,
    EARLY_STEPS,
    SPIKE_MIN_LOSSES,
    SPIKE_WINDOW,
    dilution,
    early_steps,
    early_warning,
    loss_spike,
)


def test_every_kind_of_warning_has_a_meaning_and_a_threshold() -> None:
    assert set(KINDS) == {*get_args(get_type_hints(Warning)["kind"]), UNREAD}
    assert all(kind.title and kind.meaning and kind.threshold for kind in KINDS.values())
    assert all(len(kind.title) <= 26 for kind in KINDS.values())  # a column of the list


def test_the_thresholds_are_those_of_the_engine() -> None:
    spike = KINDS["loss_spike"].threshold
    assert f"last {SPIKE_WINDOW} losses" in spike and f"must be {SPIKE_MIN_LOSSES}" in spike
    losses = [1.0, 3.0] * 50  # mean 2, standard deviation 1
    assert "mean plus 3 standard deviations" in spike
    assert loss_spike(5.0, losses, 1) is None and loss_spike(5.01, losses, 1) is not None

    early = KINDS["early_warning"].threshold
    assert f"At steps {EARLY_STEPS[0]} and {EARLY_STEPS[1]}" in early
    assert early_steps(999) == (333, 500, 666) and "fewer than 1000 steps also at one and two thirds" in early
    assert early.endswith("Below 15%: tuning. From 15%: the architecture. From 40%: the data.")
    warnings = [early_warning(gaps, 100, 500, 5000) for gaps in (14, 15, 39, 40)]
    found = [one.message.partition("work on ")[2] for one in warnings if one]
    assert found == ["tuning", "the architecture", "the architecture", "the data"]

    diluted = KINDS["dilution"].threshold
    assert [(least, name) for least, name in DILUTION_LEVELS] == [
        (50.0, "healthy"),
        (30.0, "warning"),
        (10.0, "critical"),
        (0.0, "severe"),
    ]
    assert dilution(50.0, 60.0) is None
    assert all(part in diluted for part in ("than 50", "run: warning", "than 30: critical", "than 10: severe"))


def test_all_warnings_come_newest_first_by_the_clock_of_the_host() -> None:
    a, b = RunId("A", 1), RunId("B", 1)
    one = reduce(
        RunView(a), [Event(0, 100.0, Warning("dilution", "old")), Event(1, 300.0, Warning("loss_spike", "new", 7))]
    )
    two = replace(reduce(RunView(b), [Event(0, 200.0, Warning("no_glosses", "x"))]), rejected=2, last_event=250.0)
    assert all_warnings([one, two]) == (
        RunWarning(a, "loss_spike", "new", 7, 300.0),
        RunWarning(b, UNREAD, "2 lines of its events could not be read", 0, 250.0),
        RunWarning(b, "no_glosses", "x", 0, 200.0),
        RunWarning(a, "dilution", "old", 0, 100.0),
    )
    assert all_warnings([RunView(a)]) == ()


def test_a_clock_that_goes_back_keeps_the_steps_of_its_run_in_order() -> None:
    events = [Event(0, 100.0, Warning("loss_spike", "x", 5)), Event(1, 100.0, Warning("loss_spike", "x", 9))]
    assert [one.step for one in all_warnings([reduce(RunView(RunId("A", 1)), events)])] == [9, 5]


def test_the_times_stay_beside_their_warnings_when_old_ones_are_dropped() -> None:
    events = [Event(at, float(at), Warning("loss_spike", "x", at)) for at in range(MAX_WARNINGS + 50)]
    view = reduce(reduce(RunView(RunId("A", 1)), events[:70]), events[70:])
    assert [warning.step for warning in view.warnings] == list(map(int, view.warning_times))
    assert len(view.warnings) == MAX_WARNINGS and view.warnings[-1].step == MAX_WARNINGS + 49
