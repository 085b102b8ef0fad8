"""Exact bounds on shares, against scipy's binomial test."""

from __future__ import annotations

import pytest
from scipy import stats  # type: ignore[import-untyped]

from console.results.statistics.few_lemmas import (
    FewLemmas,
    clopper_pearson_high,
    clopper_pearson_low,
    few_lemmas,
)
from tests.console.results.statistics.score_makers import random_scores, scores


@pytest.mark.parametrize(("successes", "trials"), [(0, 8), (1, 8), (7, 8), (8, 8), (3, 300)])
def test_bounds_are_clopper_and_pearsons(successes: int, trials: int) -> None:
    exact = stats.binomtest(successes, trials).proportion_ci(0.95, "exact")
    assert clopper_pearson_low(successes, trials, 0.025) == pytest.approx(exact.low)
    assert clopper_pearson_high(successes, trials, 0.025) == pytest.approx(exact.high)
    share = FewLemmas(successes, None, trials)
    for value in (0.1, 0.5):
        for side in ("greater", "less"):
            expected = stats.binomtest(successes, trials, value, alternative=side).pvalue
            found = share.p_greater(value) if side == "greater" else share.p_less(value)
            assert found == pytest.approx(expected, abs=1e-9)


def test_eight_wrong_items_of_three_lemmas_leave_much_open() -> None:
    share = few_lemmas(scores([[0] * 8] * 3, [0, 0, 0, 1, 1, 1, 2, 2]))
    assert share is not None
    assert share.high(0.025) == pytest.approx(1 - 0.025 ** (1 / 3))  # 71%


def test_bounds_of_a_difference_are_wrong_at_most_as_often_as_said() -> None:
    few = FewLemmas(2.0, 0.0, 40)
    assert few.low(0.025) == clopper_pearson_low(2, 40, 0.0125) - clopper_pearson_high(0, 40, 0.0125)
    assert few.high(0.025) == clopper_pearson_high(2, 40, 0.0125)
    assert few.p_greater(few.low(0.025)) == pytest.approx(0.025)
    assert few.p_less(few.high(0.025)) == pytest.approx(0.025)


def test_only_shares_of_which_few_lemmas_vary_need_exact_bounds() -> None:
    lemmas = list(range(20))
    nearly = [[1.0] * 16 + [0.0] * 4]
    assert few_lemmas(scores(nearly, lemmas)) is not None
    assert few_lemmas(scores([[1.0] * 15 + [0.0] * 5], lemmas)) is None
    assert few_lemmas(random_scores(1)) is None  # margins
    most = scores([[1.0] * 10 + [0.0] * 10], lemmas)
    assert few_lemmas(most, scores([[1.0] * 12 + [0.0] * 8], lemmas)) == FewLemmas(0.0, 2.0, 20)
    assert few_lemmas(most, scores([[0.0] * 10 + [1.0] * 10], lemmas)) is None
