"""Parts of the variance against a plain analysis of variance."""

from __future__ import annotations

import pytest

from console.results.statistics.estimates import SeedScores
from console.results.statistics.moments import moments
from engine.evaluation.intervals import clustered_mean
from tests.console.results.statistics.score_makers import random_scores, scores


def plain_mean_squares(table: list[list[float]]) -> tuple[float, float, float]:
    """Of seeds, lemmas and the rest, of one value for each seed and lemma."""
    seeds, lemmas = len(table), len(table[0])
    total = sum(map(sum, table)) / (seeds * lemmas)
    of_seeds = [sum(row) / lemmas - total for row in table]
    of_lemmas = [sum(row[n] for row in table) / seeds - total for n in range(lemmas)]
    rest = [
        (value - total - of_seeds[s] - of_lemmas[n]) ** 2 for s, row in enumerate(table) for n, value in enumerate(row)
    ]
    return (
        lemmas * sum(one**2 for one in of_seeds) / (seeds - 1),
        seeds * sum(one**2 for one in of_lemmas) / (lemmas - 1),
        sum(rest) / ((seeds - 1) * (lemmas - 1)),
    )


def balanced(number: int, seeds: int, of_seeds: float = 0.3) -> SeedScores:
    one = random_scores(number, seeds, 20, of_seeds=of_seeds)
    kept = [int((one.lemmas == lemma).argmax()) for lemma in range(20)]
    return one._replace(values=one.values[:, kept], lemmas=one.lemmas[kept])


def test_parts_are_those_of_a_plain_two_way_analysis_of_variance() -> None:
    one = balanced(3, 4)
    of_seeds, of_lemmas, rest = plain_mean_squares(one.values.tolist())
    found = moments(one)
    assert found.shares is not None and found.freedom is not None and found.variance is not None
    assert found.shares.lemmas == pytest.approx((of_lemmas - rest) / 80)
    assert found.shares.seeds == pytest.approx((of_seeds - rest) / 80)
    assert found.shares.rest == pytest.approx(rest / 80)
    assert found.variance == pytest.approx((of_lemmas + of_seeds - rest) / 80)
    spread = of_seeds**2 / 3 + of_lemmas**2 / 19 + rest**2 / 57
    assert found.freedom == pytest.approx((of_lemmas + of_seeds - rest) ** 2 / spread)


def test_a_difference_adds_the_seeds_of_both_sides_and_shares_the_lemmas() -> None:
    ours, theirs = balanced(3, 4), balanced(4, 3)
    (our_seeds, _, our_rest), (their_seeds, _, their_rest) = (
        plain_mean_squares(one.values.tolist()) for one in (ours, theirs)
    )
    found = moments(ours, theirs)
    assert found.shares is not None
    assert found.shares.rest == pytest.approx(our_rest / 80 + their_rest / 60)
    assert found.shares.seeds == pytest.approx((our_seeds - our_rest) / 80 + (their_seeds - their_rest) / 60)
    paired = (ours.values.mean(axis=0) - theirs.values.mean(axis=0)).tolist()
    lemmas = clustered_mean(paired, [str(one) for one in ours.lemmas])
    assert lemmas.standard_error is not None
    assert found.lemma_variance == pytest.approx(lemmas.standard_error**2)
    assert (found.seeds, found.shares.sides) == (3, 2)


def test_lemmas_of_different_sizes_have_the_engines_standard_error() -> None:
    one = random_scores(5, seeds=1)
    expected = clustered_mean(one.values[0].tolist(), [str(lemma) for lemma in one.lemmas])
    found = moments(one)
    assert found.variance is not None and expected.standard_error is not None
    assert (found.mean, found.variance**0.5) == pytest.approx((expected.mean, expected.standard_error))
    assert (found.shares, found.freedom, found.seeds) == (None, 29, 1)


def test_parts_below_zero_are_zero_and_leave_the_mean_squares_that_remain() -> None:
    same_means = scores([[1, 0, 0.2, 0.1], [0, 1, 0.1, 0.2]], [0, 1, 2, 3])
    found = moments(same_means)
    assert found.shares is not None and found.lemma_variance is not None
    assert found.shares.seeds == 0
    assert found.variance == pytest.approx(max(found.lemma_variance, found.shares.rest))


def test_a_fixed_model_has_no_seed_variance() -> None:
    ours, fixed = random_scores(1, 3), random_scores(2, 1)._replace(is_fixed=True)
    with_fixed, alone = moments(ours, fixed), moments(ours)
    assert with_fixed.shares is not None and alone.shares is not None
    assert with_fixed.shares.seeds == pytest.approx(alone.shares.seeds)
    assert with_fixed.shares.sides == 1
    both = moments(fixed, fixed._replace(values=-fixed.values))
    assert both.shares is not None
    assert (both.shares.seeds, both.shares.rest, both.shares.sides, both.seeds) == (0, 0, 0, 0)
