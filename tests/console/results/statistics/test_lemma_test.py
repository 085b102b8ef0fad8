"""The sign-flip test of lemmas against plain enumeration and scipy, and its interval against its own p."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from console.results.statistics.estimates import SeedScores
from console.results.statistics.lemma_test import lemma_test
from tests.console.results.statistics.score_makers import random_scores, scores


def plain_p(ours: SeedScores, theirs: SeedScores) -> float:
    """Share of all patterns of signs whose sum is as far from 0 as that of the data."""
    differences = ours.values.mean(axis=0) - theirs.values.mean(axis=0)
    sums = [differences[ours.lemmas == lemma].sum() for lemma in np.unique(ours.lemmas)]
    extreme = sum(
        abs(sum(sign * one for sign, one in zip(signs, sums, strict=True))) >= abs(sum(sums)) - 1e-12
        for signs in itertools.product((1, -1), repeat=len(sums))
    )
    return float(extreme / 2 ** len(sums))


@pytest.mark.parametrize("right", [False, True])
def test_with_few_lemmas_every_pattern_of_signs_is_tried(right: bool) -> None:
    for number in range(5):
        ours, theirs = (random_scores(2 * number + side, 3, 8, right, shift=0.4 * side) for side in (0, 1))
        assert lemma_test(ours, theirs).p == pytest.approx(plain_p(ours, theirs))


def test_with_many_lemmas_p_is_that_of_scipys_permutation_test() -> None:
    ours, theirs = random_scores(1, 3, 60, shift=0.15), random_scores(2, 3, 60)
    differences = ours.values.mean(axis=0) - theirs.values.mean(axis=0)
    sums = np.bincount(ours.lemmas, weights=differences)
    expected = stats.permutation_test(
        (sums,), np.sum, permutation_type="samples", n_resamples=10_000, vectorized=True, rng=3
    ).pvalue
    found = lemma_test(ours, theirs).p
    assert found is not None and 0.001 < expected < 0.999
    assert found == pytest.approx(expected, abs=4 * (2 * expected * (1 - expected) / 10_000) ** 0.5)


@given(st.integers(0, 10**6), st.sampled_from([9, 40]), st.floats(0.8, 1.2))
@settings(max_examples=20, deadline=None)
def test_the_interval_holds_the_differences_that_the_test_does_not_reject(
    number: int, lemmas: int, place: float
) -> None:
    ours, theirs = random_scores(number, 3, lemmas), random_scores(number + 1, 2, lemmas)
    interval = lemma_test(ours, theirs).interval
    assert interval.low is not None and interval.high is not None
    for bound in (interval.low, interval.high):
        value = interval.mean + place * (bound - interval.mean)
        p = lemma_test(ours._replace(values=ours.values - value), theirs).p
        assert p is not None
        if abs(place - 1) > 1e-9:
            assert (p < 0.05) == (not interval.low <= value <= interval.high)


@pytest.mark.parametrize("lemmas", [9, 40])
def test_just_beyond_a_bound_the_test_rejects_and_just_within_it_does_not(lemmas: int) -> None:
    for number in range(5):
        ours, theirs = random_scores(number, 3, lemmas), random_scores(number + 100, 2, lemmas)
        interval = lemma_test(ours, theirs).interval
        assert interval.low is not None and interval.high is not None
        for bound, beyond in ((interval.low, -1e-7), (interval.high, 1e-7)):
            inside, outside = (
                lemma_test(ours._replace(values=ours.values - value), theirs).p
                for value in (bound - beyond, bound + beyond)
            )
            assert inside is not None and outside is not None
            assert outside < 0.05 <= inside


def test_the_interval_is_near_students_on_lemmas() -> None:
    found = lemma_test(random_scores(1, 3, 200), random_scores(2, 3, 200)).interval
    assert found.standard_error is not None and found.low is not None and found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.972 * found.standard_error, rel=0.05)
    assert (found.method, found.lemmas, found.seeds) == ("lemmas", 200, 3)


def test_exchanged_sides_negate_the_interval_and_keep_p() -> None:
    ours, theirs = random_scores(1), random_scores(2)
    there, back = lemma_test(ours, theirs), lemma_test(theirs, ours)
    assert there.p == back.p
    assert there.interval.low is not None and there.interval.high is not None
    assert (back.interval.low, back.interval.high) == pytest.approx((-there.interval.high, -there.interval.low))


def test_five_lemmas_cannot_reach_five_percent_and_have_no_interval() -> None:
    found = lemma_test(scores([[5, 6, 7, 8, 9.0]], range(5)), scores([[0, 0, 0, 0, 0.0]], range(5)))
    assert found.p == 2 / 32
    assert (found.interval.low, found.interval.high, found.interval.method) == (None, None, "none")


def test_one_lemma_has_no_test() -> None:
    found = lemma_test(scores([[1, 0]], [0, 0]), scores([[0, 0]], [0, 0]))
    assert (found.p, found.interval.low, found.interval.mean) == (None, None, 0.5)


def test_equal_models_have_p_one_and_an_interval_of_some_width() -> None:
    one = random_scores(1, right=True)
    found = lemma_test(one, one)
    assert found.p == 1
    assert found.interval.low is not None and found.interval.low < -0.1


def test_p_is_never_zero() -> None:
    found = lemma_test(random_scores(1, shift=50), random_scores(2))
    assert found.p == 1 / 10_001
