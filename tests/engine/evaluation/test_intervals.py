"""Lemma-clustered intervals: against scipy, a plain reference, a bootstrap over lemmas, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]

from engine.contract.metrics import Estimate
from engine.evaluation.intervals import clustered_mean, paired_difference, t_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 31, 276, 1000])
def test_quantiles_are_those_of_students_t(freedom: int) -> None:
    assert t_quantile(0.95, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


def made_up(seed: int, lemmas: int = 60) -> tuple[list[float], list[str]]:
    """Items right or wrong, with a difficulty of their lemma's own; one to six items a lemma."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 7, lemmas)
    chances = np.repeat(draw.beta(1.5, 1.5, lemmas), sizes)
    names = np.repeat([f"lemma {number}" for number in range(lemmas)], sizes)
    return (draw.random(len(chances)) < chances).astype(float).tolist(), names.tolist()


def test_the_standard_error_is_that_of_a_ratio_of_sums_over_lemmas() -> None:
    values, lemmas = made_up(0)
    array, names = np.array(values), np.array(lemmas)
    sums = np.array([array[names == name].sum() for name in np.unique(names)])
    counts = np.array([(names == name).sum() for name in np.unique(names)])
    ratio, clusters = sums.sum() / counts.sum(), len(counts)
    error = np.sqrt(np.var(sums - ratio * counts, ddof=1) / clusters) / counts.mean()
    found = clustered_mean(values, lemmas)
    assert found.mean == pytest.approx(ratio) and (found.items, found.lemmas) == (len(values), clusters)
    assert found.standard_error == pytest.approx(error)
    half = stats.t.ppf(0.975, clusters - 1) * error
    assert found.low == pytest.approx(ratio - half) and found.high == pytest.approx(ratio + half)


def test_the_standard_error_is_that_of_a_bootstrap_over_lemmas() -> None:
    values, lemmas = made_up(1)
    array, names = np.array(values), np.array(lemmas)
    groups = [array[names == name] for name in np.unique(names)]
    sums, counts = np.array([group.sum() for group in groups]), np.array([len(group) for group in groups])
    drawn = np.random.default_rng(2).integers(0, len(groups), (4000, len(groups)))
    error = np.std(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    assert clustered_mean(values, lemmas).standard_error == pytest.approx(error, rel=0.08)


def test_intervals_hold_the_true_share_in_nearly_95_of_100_samples() -> None:
    found = [clustered_mean(*made_up(seed, lemmas=25)) for seed in range(400)]
    held = [one.low is not None and one.high is not None and one.low <= 0.5 <= one.high for one in found]
    assert 0.90 < np.mean(held) < 0.98


def test_items_of_one_lemma_each_are_a_plain_sample() -> None:
    values = [0.3, -0.1, 0.8, 0.4]
    found = clustered_mean(values, ["a", "b", "c", "d"])
    assert found.standard_error == pytest.approx(stats.sem(values))
    plain = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert found.low == pytest.approx(plain.low) and found.high == pytest.approx(plain.high)


def test_one_lemma_has_no_interval_and_no_item_no_mean() -> None:
    assert clustered_mean([0.0, 1.0], ["a", "a"]) == Estimate(0.5, 2, 1)
    with pytest.raises(ValueError, match="0 values"):
        clustered_mean([], [])


def test_a_paired_difference_averages_seeds_item_by_item() -> None:
    lemmas = ["a", "a", "b", "c"]
    ours, theirs = [[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0]], [[0.0, 1.0, 0.0, 1.0]]
    assert paired_difference(ours, theirs, lemmas) == clustered_mean([1.0, -0.5, 0.5, 0.0], lemmas)
    same = paired_difference(theirs, theirs, lemmas)
    assert (same.mean, same.standard_error) == (0.0, 0.0)
    with pytest.raises(ValueError, match="without a seed"):
        paired_difference([], theirs, lemmas)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        paired_difference(ours, [[0.0]], lemmas)
