"""Warnings about a training run."""

from __future__ import annotations

import statistics

import pytest

from engine.training.guardrails import dilution, early_warning, loss_spike

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


@pytest.mark.parametrize(("negative", "branch"), [(14, "A: tune"), (15, "B: architecture"), (39, "B"), (40, "C: data")])
def test_the_early_warning_names_a_branch(negative: int, branch: str) -> None:
    for step in (500, 1000):
        warning = early_warning(negative, 100, step)
        assert warning is not None
        assert branch in warning.message
        assert warning.value == pytest.approx(negative / 100)


def test_there_is_no_early_warning_at_other_steps_or_without_hard_pairs() -> None:
    assert early_warning(50, 100, 499) is None
    assert early_warning(0, 0, 500) is None


@pytest.mark.parametrize(
    ("steps", "level"),
    [(500, None), (499, "warning"), (300, "warning"), (299, "critical"), (100, "critical"), (99, "severe")],
)
def test_dilution_counts_the_exposures_of_an_adversarial_bundle(steps: int, level: str | None) -> None:
    # p(tier3) = 4 x 10 / (4 x 10 + 160) = 0.2, pool = 10: exposures = steps x 5 x 0.2 / 10 = steps / 10
    weights, adversarial = [4.0] * 10 + [1.0] * 160, [True] * 10 + [False] * 160
    warning = dilution(5 * steps, weights, adversarial)
    if level is None:
        assert warning is None
    else:
        assert warning is not None
        assert warning.message.startswith(level)
        assert warning.value == pytest.approx(steps / 10)


def test_no_dilution_warning_without_adversarial_bundles() -> None:
    assert dilution(50, [1.0, 1.0], [False, False]) is None
