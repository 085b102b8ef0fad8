"""Warnings about a training run."""

from __future__ import annotations

import statistics

import pytest

from engine.training.guardrails import dilution, early_steps, early_warning, loss_spike

CALM = [1.0, 1.1, 0.9, 1.05] * 30


def test_a_loss_above_three_deviations_of_the_last_hundred_is_a_spike() -> None:
    window = CALM[-100:]
    limit = statistics.fmean(window) + 3 * statistics.pstdev(window)
    assert loss_spike(limit - 1e-6, CALM, 200) is None
    warning = loss_spike(limit + 1e-6, CALM, 200)
    assert warning is not None
    assert (warning.kind, warning.step, warning.value) == ("loss_spike", 200, limit + 1e-6)
    assert loss_spike(limit + 1e-6, [100.0] * 50 + window, 200) == warning


def test_no_spike_is_reported_before_enough_losses() -> None:
    assert loss_spike(50.0, CALM[:19], 19) is None
    assert loss_spike(50.0, CALM[:20], 20) is not None


@pytest.mark.parametrize(
    ("negative", "what_helps"),
    [(14, "tuning"), (15, "the architecture"), (39, "the architecture"), (40, "the data")],
)
def test_the_early_warning_names_what_to_work_on(negative: int, what_helps: str) -> None:
    for step in (500, 1000):
        warning = early_warning(negative, 100, step, 2000)
        assert warning is not None
        assert warning.message.endswith(f"work on {what_helps}")
        assert warning.value == pytest.approx(negative / 100)


def test_there_is_no_early_warning_at_other_steps_or_without_hard_pairs() -> None:
    assert early_warning(50, 100, 499, 2000) is None
    assert early_warning(0, 0, 500, 2000) is None


@pytest.mark.parametrize(
    ("total", "steps"),
    [(2000, (500, 1000)), (1000, (500, 1000)), (999, (333, 500, 666)), (300, (100, 200)), (2, (1,)), (1, ())],
)
def test_short_runs_get_early_warnings_at_thirds_of_their_steps(total: int, steps: tuple[int, ...]) -> None:
    assert early_steps(total) == steps
    assert [step for step in range(1, total + 1) if early_warning(1, 2, step, total)] == list(steps)


@pytest.mark.parametrize(
    ("exposures", "level"),
    [(50.0, None), (49.9, "warning"), (30.0, "warning"), (29.9, "critical"), (10.0, "critical"), (9.9, "severe")],
)
def test_dilution_has_levels_and_says_what_would_be_the_most(exposures: float, level: str | None) -> None:
    warning = dilution(exposures, 66.6)
    if level is None:
        assert warning is None
    else:
        assert warning is not None and warning.value == exposures
        assert warning.message.startswith(level) and "(66.6 times if nothing else were drawn)" in warning.message
