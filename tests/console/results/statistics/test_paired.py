"""Tests by pairs against scipy."""

from __future__ import annotations

import math
import statistics

import pytest
from scipy import stats  # type: ignore[import-untyped]

from console.results.statistics.paired import (
    detectable,
    hedges_correction,
    mcnemar,
    paired_power,
    paired_t,
    probability_greater,
)
from tests.console.results.statistics.score_makers import scores

OURS = {42: 0.51, 123: 0.48, 456: 0.55}
THEIRS = {42: 0.47, 123: 0.49, 456: 0.50}


def test_t_and_welch_are_scipys() -> None:
    found = paired_t(OURS, THEIRS)
    expected = stats.ttest_rel([*OURS.values()], [*THEIRS.values()])
    welch = stats.ttest_ind([*OURS.values()], [*THEIRS.values()], equal_var=False)
    assert (found.t, found.p, found.freedom) == pytest.approx((expected.statistic, expected.pvalue, 2))
    assert (found.welch_t, found.welch_p, found.welch_freedom) == pytest.approx(
        (welch.statistic, welch.pvalue, welch.df)
    )
    assert found.seeds == (42, 123, 456)
    assert found.differences == pytest.approx((0.04, -0.01, 0.05))


def test_the_effect_is_cohens_dz_with_hedges_correction() -> None:
    found = paired_t(OURS, THEIRS)
    differences = [0.04, -0.01, 0.05]
    raw = statistics.mean(differences) / statistics.stdev(differences)
    assert hedges_correction(2) == pytest.approx(1 / math.sqrt(math.pi))  # gamma(1) / gamma(1/2)
    assert found.effect == pytest.approx(raw / math.sqrt(math.pi))
    assert hedges_correction(30) == pytest.approx(1 - 3 / (4 * 30 - 1), abs=1e-4)


def test_pairs_are_by_seed_and_welch_takes_all_seeds() -> None:
    found = paired_t({**OURS, 7: 0.6}, {456: 0.50, 42: 0.47, 123: 0.49})
    assert found.seeds == (42, 123, 456)
    welch = stats.ttest_ind([*OURS.values(), 0.6], [*THEIRS.values()], equal_var=False)
    assert found.welch_p == pytest.approx(welch.pvalue)


def test_fewer_than_two_pairs_and_no_variance_have_no_t_and_say_so() -> None:
    one = paired_t({1: 0.5}, {1: 0.4, 2: 0.3})
    assert one.mean == pytest.approx(0.1)
    assert (one.t, one.p, one.detectable) == (None, None, None)
    assert "two pairs" in one.note
    none = paired_t({1: 0.5}, {2: 0.4})
    assert (none.mean, none.differences) == (None, ())
    assert "two pairs" in none.note
    # 0.1 + 0.2 and the like: equal but for rounding
    equal = paired_t({1: 0.3, 2: 0.1 + 0.2, 3: 0.7}, {1: 0.2, 2: 0.2, 3: 0.6})
    assert (equal.t, equal.p, equal.effect, equal.deviation) == (None, None, None, 0.0)
    assert "equal" in equal.note
    assert equal.welch_p is not None
    same = paired_t({1: 0.5, 2: 0.5}, {1: 0.5, 2: 0.5})
    assert (same.mean, same.p, same.welch_p) == (0, None, None)


def test_two_pairs_have_a_t_but_no_corrected_effect() -> None:
    found = paired_t({1: 0.5, 2: 0.6}, {1: 0.45, 2: 0.5})
    assert found.p == pytest.approx(stats.ttest_rel([0.5, 0.6], [0.45, 0.5]).pvalue)
    assert found.effect is None


def test_what_three_pairs_can_find() -> None:
    effect = detectable(3)
    assert effect is not None and effect == pytest.approx(3.264, abs=0.001)
    assert paired_power(effect, 3) == pytest.approx(0.8)
    assert paired_power(1.0, 3) == pytest.approx(0.18, abs=0.005)
    assert detectable(10) == pytest.approx(0.996, abs=0.001)  # G*Power: 1.00 with 10 pairs
    assert paired_t(OURS, THEIRS).detectable == effect
    assert detectable(1) is None


@pytest.mark.parametrize("pairs", [2, 4, 20])
def test_power_is_that_of_the_noncentral_t(pairs: int) -> None:
    critical, shift = stats.t.ppf(0.975, pairs - 1), 0.7 * math.sqrt(pairs)
    expected = stats.nct.sf(critical, pairs - 1, shift) + stats.nct.cdf(-critical, pairs - 1, shift)
    assert paired_power(0.7, pairs) == pytest.approx(expected)


def test_mcnemar_counts_items_by_the_majority_of_seeds() -> None:
    ours = scores([[1, 1, 1, 0, 1, 1], [1, 1, 0, 0, 1, 1], [0, 1, 0, 0, 1, 1]], range(6))
    theirs = scores([[0, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0]], range(6))
    found = mcnemar(ours, theirs)
    assert (found.ours_only, found.theirs_only) == (3, 1)
    assert found.p == pytest.approx(stats.binomtest(1, 4, 0.5).pvalue)
    assert mcnemar(ours, ours).p == 1
    assert mcnemar(theirs, ours).ours_only == 1


def test_half_of_the_seeds_is_no_majority() -> None:
    half, none = scores([[1, 1], [0, 1]], [0, 1]), scores([[0, 0], [0, 0]], [0, 1])
    assert mcnemar(half, none).ours_only == 1


def test_probability_of_being_greater_is_mann_and_whitneys_u() -> None:
    ours, theirs = [0.5, 0.6, 0.55], [0.5, 0.4, 0.58]
    u = stats.mannwhitneyu(ours, theirs).statistic
    assert probability_greater(ours, theirs) == pytest.approx(u / 9)
    assert probability_greater([0.5], [0.5]) == 0.5
    assert probability_greater([], [0.5]) is None
