"""Values at one x: of each run as they are, of a condition as a mean of the runs that have come so far."""

from __future__ import annotations

from statistics import fmean, stdev

from console.charts.metrics import LOSS_METRIC, Metric
from console.ui.live.values import condition_rows, run_rows, value_at
from engine.contract.settings import RunId
from tests.console.ui.scenes import finished, training, view_of

TOP1 = Metric("dev.top1", "dev top-1", "%")
A, B, C = (RunId("A", seed) for seed in (42, 123, 456))
VIEWS = {
    A: finished(A),
    B: view_of(B, "running", training(100, offset=0.1)),
    C: view_of(C, "running", training(40, offset=0.2)),
}


def test_a_run_has_its_last_value_up_to_the_place() -> None:
    losses = list(VIEWS[A].losses.points()[1])
    assert value_at(VIEWS[A], LOSS_METRIC, "step", 57.5) == losses[56]
    assert value_at(VIEWS[A], LOSS_METRIC, "step", 0.5) is None
    rows = run_rows(VIEWS, [LOSS_METRIC, TOP1], "step", 75)
    assert [row.name for row in rows] == ["A/42", "A/123", "A/456"]
    assert rows[0].values == (f"{losses[74]:.3f}", "46.0")


def test_a_mean_is_over_the_runs_that_have_come_so_far_and_says_how_many() -> None:
    values = [VIEWS[run].losses.points()[1][79] for run in (A, B)]
    (row,) = condition_rows(VIEWS, [LOSS_METRIC], "step", 80)
    assert row.values == (f"{fmean(values):.3f} ±{stdev(values):.3f} n2",)
    (ended,) = condition_rows(VIEWS, [LOSS_METRIC], "step", 190)
    assert ended.values == (f"{VIEWS[A].losses.points()[1][189]:.3f} n1",)
    assert condition_rows({}, [LOSS_METRIC], "step", 1) == []
