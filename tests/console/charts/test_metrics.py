"""What can be drawn of runs: every metric of their events, over steps, epochs and time of training."""

from __future__ import annotations

import json
from typing import Any

import pytest

from console.charts.metrics import X_AXES, Metric, XAxis, metrics_of, references_of, series_of, step_at_x, x_at_step
from console.runs.run_view import RunView, reduce
from engine.contract.events import BaselineScores, Event, Stage, Step, decode, encode
from engine.contract.experiment import Gates
from engine.contract.settings import RunId
from tests.console.ui.scenes import training, view_of
from tests.measurements import measurement

A, B = RunId("A", 42), RunId("B", 42)
VIEWS = {A: view_of(A, "running", training(100)), B: RunView(B)}


def metric(name: str) -> Metric:
    return next(one for one in metrics_of(VIEWS) if one.name == name)


def points(view: RunView, name: str, x: XAxis = "step") -> list[Any]:
    return list(zip(*series_of(view, metric(name), x).points(), strict=True))


def test_every_number_of_the_events_is_a_metric() -> None:
    assert [one.title for one in metrics_of(VIEWS)] == [
        "training loss",
        "dev top-1 %",
        "dev loss",
        "dev margin cosine",
        "attention entropy of log T",
        "dev score %",
        "wordnet top-1 %",
        "wordnet top-3 %",
        "wordnet coherence %",
        "learning rate",
        "tier1_easy % of batch",
        "tier2_robust % of batch",
        "tier3_adversarial % of batch",
    ]


def test_each_tier_that_is_measured_is_a_metric() -> None:
    view = reduce(VIEWS[A], [Event(10_000, 2000.0, measurement(100, 200, 2.0, tiers={"tier2_robust": 0.25}))])
    tier = next(one for one in metrics_of({A: view}) if one.name == "dev.tier2_robust")
    assert tier.title == "tier2_robust top-1 %"
    assert [list(axis) for axis in series_of(view, tier, "step").points()] == [[100], [25]]


def test_each_metric_has_a_value_at_each_step_or_measurement() -> None:
    for one in metrics_of(VIEWS):
        assert len(series_of(VIEWS[A], one, "step")) == (100 if one.per_step else 3), one
        assert not series_of(VIEWS[B], one, "step")
    assert points(VIEWS[A], "learning_rate")[:2] == [(1, pytest.approx(1e-3)), (2, pytest.approx(1e-3))]
    assert points(VIEWS[A], "mix.tier2_robust")[0] == (1, pytest.approx(6.25))
    assert points(VIEWS[A], "set.wordnet.coherence") == [
        (0, pytest.approx(70)),
        (50, pytest.approx(69)),
        (100, pytest.approx(68)),
    ]


def test_steps_lie_on_epochs_by_the_last_measurement() -> None:
    assert points(VIEWS[A], "loss", "epoch")[49][0] == pytest.approx(1.0)
    assert [x for x, _ in points(VIEWS[A], "dev.top1", "epoch")] == [0, 1, 2]
    early = view_of(A, "running", training(20))
    assert not series_of(early, metric("loss"), "epoch")


def test_time_of_training_leaves_out_what_lies_between_two_processes() -> None:
    steps = [Step(number, 10, 1, 1.0, 1e-3, {"tier1_easy": 1}) for number in range(1, 6)]
    events = [Event(0, 100.0, Stage("train")), Event(1, 110.0, steps[0]), Event(2, 112.0, steps[1])]
    resumed = [Event(3, 9000.0, Stage("train"))]
    resumed += [Event(4 + at, time, steps[2 + at]) for at, time in enumerate((9010.0, 9013.0, 9001.0))]
    view = reduce(RunView(A), [*events, *resumed])
    assert [x for x, _ in points(view, "loss", "elapsed")] == [0, 2, 2, 5, 5]


@pytest.mark.parametrize("x", X_AXES)
def test_a_place_on_an_axis_is_a_step_and_back(x: XAxis) -> None:
    for step in (1, 37, 100):
        at = x_at_step(VIEWS[A], step, x)
        assert at is not None and step_at_x(VIEWS[A], at, x) == step
    assert (x_at_step(VIEWS[B], 5, "epoch"), step_at_x(VIEWS[B], 5, "elapsed")) == (None, None)


def test_a_metric_is_held_against_mean_pooling_chance_its_gate_and_what_nothing_learned_is() -> None:
    def named(name: str) -> list[tuple[str, float]]:
        return [(one.name, round(one.value, 3)) for one in references_of(VIEWS, metric(name), Gates())]

    assert named("dev.top1") == [("pooling", 45.2), ("chance", 43.5), ("gate", 30.0)]
    assert named("set.wordnet.coherence") == [("pooling", 71.2), ("chance", 39.7), ("gate", 80.0)]
    assert named("dev.margin") == [("right = wrong", 0.0)]
    assert named("dev.attention_entropy") == [("uniform", 1.0)]
    assert named("dev.score") == [("pooling", 58.2), ("chance", 41.6)]
    assert named("loss") == named("learning_rate") == []
    assert references_of({B: VIEWS[B]}, metric("dev.top1")) == ()


def test_baselines_have_the_names_of_conditions_measured_on_different_data_and_one_value_of_a_tier() -> None:
    def measured(run: RunId, chance: float) -> RunView:
        scores = BaselineScores(chance, {"tier2_robust": 0.2}, chance)
        made = measurement(tiers={"tier2_robust": 0.6}, mean_pool_tiers={"tier2_robust": 0.5}, chance=scores)
        return reduce(RunView(run), [Event(0, 1.0, made)])

    views = {run: measured(run, chance) for run, chance in ((A, 0.25), (RunId("A", 43), 0.25), (B, 0.5))}
    top1, tier = Metric("dev.top1", "dev top-1", "%"), Metric("dev.tier2_robust", "tier2_robust top-1", "%")
    assert [top1.reference_text(one) for one in references_of(views, top1)] == [
        "pooling 40.0%",
        "chance A 25.0%",
        "chance B 50.0%",
    ]
    assert [tier.reference_text(one) for one in references_of(views, tier)] == ["pooling 50.0%", "chance 20.0%"]


def test_events_of_an_engine_that_does_not_know_chance_are_read_and_drawn_without_it() -> None:
    line = json.loads(encode(Event(0, 1.0, measurement(chance=BaselineScores(0.25, {}, 0.25)))))
    del line["body"]["chance"], line["body"]["mean_pool_tiers"]
    views = {A: reduce(RunView(A), [decode(json.dumps(line))])}
    assert [one.name for one in references_of(views, Metric("dev.top1", "dev top-1", "%"))] == ["pooling"]
    assert references_of(views, Metric("dev.tier2_robust", "tier2_robust top-1", "%")) == ()
