"""The interval that decides against one by lists and loops."""

from __future__ import annotations

import statistics

import pytest

from console.results.statistics.crossed import bootstrap_means, difference_interval
from tests.console.results.statistics.plain_interval import (
    monte_carlo_error,
    plain_crossed_bootstrap,
    plain_moments,
)
from tests.console.results.statistics.score_makers import random_scores


@pytest.mark.parametrize(
    ("seeds", "fixed", "right", "of_seeds"),
    [((3, 3), False, False, 0.0), ((3, 4), False, False, 1.0), ((3, 1), True, True, 0.1), ((10, 3), False, True, 0.3)],
)
def test_the_interval_is_the_wider_of_a_plain_bootstrap_and_plain_moments(
    seeds: tuple[int, int], fixed: bool, right: bool, of_seeds: float
) -> None:
    ours = random_scores(11, seeds[0], 25, right, of_seeds)
    theirs = random_scores(12, seeds[1], 25, right, of_seeds)._replace(is_fixed=fixed)
    means = bootstrap_means({"ours": ours, "theirs": theirs})
    found = difference_interval(ours, theirs, means["ours"], means["theirs"])
    tables, lemmas = (ours.values.tolist(), theirs.values.tolist()), ours.lemmas.tolist()
    plain = plain_moments(*tables, lemmas)
    assert found.low is not None and found.high is not None
    assert (found.mean, found.standard_error) == pytest.approx((plain.mean, plain.error))
    draws = plain_crossed_bootstrap(*tables, lemmas, 1_500, 5)
    cuts = statistics.quantiles(draws, n=40)
    tolerance = 4 * monte_carlo_error(1_500, statistics.stdev(draws))
    assert found.low == pytest.approx(min(cuts[0], plain.mean - plain.half), abs=tolerance)
    assert found.high == pytest.approx(max(cuts[38], plain.mean + plain.half), abs=tolerance)
    if found.method == "t":
        assert found.high - found.low >= 2 * plain.half - 1e-9
        assert found.low <= plain.mean - plain.half + 1e-9
