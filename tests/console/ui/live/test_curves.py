"""Which curves are drawn, how they are told apart, and which lies on top."""

from __future__ import annotations

import pytest

from console.runs.run_view import RunView
from console.ui.live.curves import (
    DevelopmentScore,
    development_curves,
    development_scores,
    letters,
    loss_curves,
    mean_pool_level,
)
from engine.contract.settings import RunId
from tests.console.ui.scenes import training, view_of

A, B = RunId("A", 42), RunId("B", 42)
TOP1 = DevelopmentScore("top1")


def views() -> dict[RunId, RunView]:
    return {
        A: view_of(A, "running", training(100)),
        B: view_of(B, "running", training(50)),
        RunId("C", 1): RunView(RunId("C", 1)),
    }


def test_letters_are_the_conditions_own_where_they_differ() -> None:
    assert letters(["A", "B", "C"]) == {"A": "a", "B": "b", "C": "c"}
    clash = letters(["base", "big"])
    assert clash["base"] == "b"
    assert len(set(clash.values())) == 2


def test_the_selected_run_is_capital_and_last() -> None:
    curves = loss_curves(views(), A, smoothed=False)
    assert [one.letter for one in curves] == ["b", "A"]


def test_smoothed_the_raw_values_of_the_selected_run_stay_below() -> None:
    curves = loss_curves(views(), A, smoothed=True)
    assert [(one.letter, one.smoothing > 0) for one in curves] == [("b", True), (".", False), ("A", True)]
    assert curves[1].series is curves[2].series


def test_top1_stands_over_the_level_of_mean_pooling() -> None:
    curves = development_curves(views(), B, TOP1)
    assert curves[0].letter == "-"
    assert set(curves[0].series.points()[1]) == {45.2}
    assert [one.letter for one in curves[1:]] == ["a", "B"]
    assert mean_pool_level(views(), RunId("C", 1), TOP1) == 45.2


def test_without_a_measurement_there_is_neither_curve_nor_level() -> None:
    none = {A: RunView(A)}
    assert development_curves(none, A, TOP1) == []
    assert mean_pool_level(none, A, TOP1) is None
    assert development_scores(none) == [TOP1, DevelopmentScore("loss")]


def test_every_score_of_the_measurements_can_be_drawn_by_epochs_done() -> None:
    labels = [score.label for score in development_scores(views())]
    assert labels == ["Dev top-1 %", "Dev loss", "Dev score %", "wordnet top-1 %", "wordnet coherence %"]
    coherence = DevelopmentScore("coherence", "wordnet")
    level, _, b = development_curves(views(), B, coherence)
    assert level.series.points()[1] == pytest.approx([71.2, 71.2])
    assert [list(axis) for axis in b.series.points()] == [[0.0, 1.0], pytest.approx([70.0, 69.0])]
    assert mean_pool_level(views(), B, DevelopmentScore("loss")) is None
    assert mean_pool_level(views(), B, DevelopmentScore("score")) == pytest.approx(58.2)
