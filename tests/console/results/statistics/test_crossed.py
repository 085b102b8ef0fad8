"""The crossed bootstrap against a plain one, and intervals and p values that agree with each other."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from console.results.statistics import crossed
from console.results.statistics.crossed import (
    bootstrap_bounds,
    bootstrap_means,
    bootstrap_p,
    difference_interval,
    difference_p,
    mean_interval,
    mean_p,
)
from console.results.statistics.estimates import Floats, Interval, SeedScores
from console.results.statistics.moments import moments
from tests.console.results.statistics.plain_interval import plain_crossed_bootstrap
from tests.console.results.statistics.score_makers import random_scores, scores

DRAWS = 999


def difference(ours: SeedScores, theirs: SeedScores, level: float = 0.95) -> Interval:
    means = bootstrap_means({"ours": ours, "theirs": theirs}, DRAWS)
    return difference_interval(ours, theirs, means["ours"], means["theirs"], level)


def p_of_difference(ours: SeedScores, theirs: SeedScores, value: float = 0.0) -> float | None:
    means = bootstrap_means({"ours": ours, "theirs": theirs}, DRAWS)
    return difference_p(ours, theirs, means["ours"], means["theirs"], value)


def test_the_bootstrap_equals_a_plain_one_within_monte_carlo_error() -> None:
    ours, theirs = random_scores(1, seeds=3, lemmas=10), random_scores(2, seeds=4, lemmas=10)
    means = bootstrap_means({"ours": ours, "theirs": theirs}, 20_000)
    fast = means["ours"] - means["theirs"]
    slow = plain_crossed_bootstrap(ours.values.tolist(), theirs.values.tolist(), ours.lemmas.tolist(), 6_000, 7)
    deviation = statistics.stdev(slow)
    assert float(fast.mean()) == pytest.approx(statistics.mean(slow), abs=4 * deviation / 6_000**0.5)
    assert float(fast.std()) == pytest.approx(deviation, rel=0.04)
    cuts = statistics.quantiles(slow, n=40)
    for share, cut in ((0.025, cuts[0]), (0.25, cuts[9]), (0.75, cuts[29]), (0.975, cuts[38])):
        # four standard errors of the slow share of draws below the cut
        assert float((fast <= cut).mean()) == pytest.approx(share, abs=4 * (share * (1 - share) / 6_000) ** 0.5)


def test_draws_of_a_model_do_not_depend_on_what_else_is_compared_or_on_the_size_of_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = random_scores(1), random_scores(2, seeds=7)
    alone = bootstrap_means({"A": first}, DRAWS)["A"]
    monkeypatch.setattr(crossed, "CHUNK_VALUES", 4_000)
    beside = bootstrap_means({"B": second, "A": first}, DRAWS)
    assert np.allclose(beside["A"], alone, rtol=0, atol=1e-14)


def test_models_without_seeds_share_all_draws() -> None:
    fixed = random_scores(1, seeds=1)._replace(is_fixed=True)
    means = bootstrap_means({"A": fixed, "B": fixed}, DRAWS)
    assert (means["A"] == means["B"]).all()


def test_seeds_of_two_conditions_are_drawn_independently() -> None:
    one = random_scores(1, of_seeds=1.0)
    means = bootstrap_means({"A": one, "B": one}, DRAWS)
    assert float((means["A"] - means["B"]).std()) > 0.3


@given(st.integers(0, 10**6), st.sampled_from([(3, 3), (2, 5), (12, 10), (1, 3)]), st.booleans(), st.floats(-1.2, 1.2))
@settings(max_examples=40, deadline=None)
def test_p_is_below_the_error_exactly_where_the_interval_excludes_the_value(
    number: int, seeds: tuple[int, int], right: bool, place: float
) -> None:
    assume(abs(abs(place) - 1) > 1e-6)  # on the bound itself rounding decides
    ours, theirs = random_scores(number, seeds[0], right=right), random_scores(number + 1, seeds[1], right=right)
    means = bootstrap_means({"ours": ours, "theirs": theirs}, DRAWS)
    for error in (0.2, 0.05, 0.025):
        interval = difference_interval(ours, theirs, means["ours"], means["theirs"], 1 - error)
        assert interval.low is not None and interval.high is not None
        value = interval.mean + place * (interval.high - interval.mean)
        p = difference_p(ours, theirs, means["ours"], means["theirs"], value)
        assert p is not None
        assert (p < error) == (not interval.low <= value <= interval.high)
        greater, less = (
            difference_p(ours, theirs, means["ours"], means["theirs"], value, side) for side in ("greater", "less")
        )
        assert greater is not None and less is not None
        assert p == min(1.0, 2 * min(greater, less))
        assert (greater < error / 2) == (interval.low > value)


@given(st.integers(0, 10**6), st.sampled_from([1, 3, 12]), st.floats(-0.5, 1.5), st.floats(-1.2, 1.2))
@settings(max_examples=25, deadline=None)
def test_p_of_a_share_is_below_the_error_exactly_where_its_interval_excludes_the_value(
    number: int, seeds: int, shift: float, place: float
) -> None:
    assume(abs(abs(place) - 1) > 1e-6)
    one = random_scores(number, seeds, right=True, shift=shift)
    means = bootstrap_means({"A": one}, DRAWS)["A"]
    for error in (0.2, 0.05):
        interval = mean_interval(one, means, 1 - error)
        assert interval.low is not None and interval.high is not None
        end = interval.high if place > 0 else interval.low
        value = min(1.0, max(0.0, interval.mean + abs(place) * (end - interval.mean)))
        p = mean_p(one, means, value)
        assert p is not None
        assert (p < error) == (not interval.low <= value <= interval.high)


def test_bootstrap_bounds_are_those_order_statistics_at_which_p_is_the_error() -> None:
    draws = np.arange(1.0, 1000.0)
    low, high = bootstrap_bounds(draws)
    assert (low, high) == (24.0, 976.0)
    assert bootstrap_p(draws, low) == pytest.approx(0.05)  # not below it: the bound is inside
    assert bootstrap_p(draws, low - 0.5) < 0.05
    assert bootstrap_p(draws, -5.0) == pytest.approx(2 / 1000)  # never 0


@given(st.integers(0, 10**6), st.floats(-2, 2))
@settings(max_examples=20, deadline=None)
def test_shift_permutation_and_exchange_of_sides(number: int, shift: float) -> None:
    ours, theirs = random_scores(number), random_scores(number + 1)
    found = difference(ours, theirs)
    assert found.low is not None and found.high is not None

    moved = difference(ours._replace(values=ours.values + shift), theirs)
    assert (moved.low, moved.high) == pytest.approx((found.low + shift, found.high + shift), abs=1e-9)

    order = np.random.default_rng(number).permutation(len(ours.lemmas))
    first, second = (one._replace(values=one.values[:, order], lemmas=one.lemmas[order]) for one in (ours, theirs))
    again = difference(first, second)
    assert (again.mean, again.low, again.high) == pytest.approx((found.mean, found.low, found.high), abs=1e-9)

    # the names keep their draws
    means = bootstrap_means({"ours": ours, "theirs": theirs}, DRAWS)
    swapped = difference_interval(theirs, ours, means["theirs"], means["ours"])
    assert swapped.low is not None and swapped.high is not None
    assert (swapped.mean, swapped.low, swapped.high) == pytest.approx((-found.mean, -found.high, -found.low))


@pytest.mark.parametrize(("seeds", "of_seeds", "method"), [(3, 0.0, "bootstrap"), (3, 1.0, "t"), (10, 1.0, "t")])
def test_the_interval_holds_both_the_bootstrap_and_the_t_interval(seeds: int, of_seeds: float, method: str) -> None:
    ours, theirs = (random_scores(number, seeds, 60, of_seeds=of_seeds) for number in (7, 8))
    means = bootstrap_means({"ours": ours, "theirs": theirs})
    found = difference_interval(ours, theirs, means["ours"], means["theirs"])
    low, high = bootstrap_bounds(means["ours"] - means["theirs"])
    moment = moments(ours, theirs)
    assert moment.variance is not None and moment.freedom is not None
    half = stats.t.ppf(0.975, moment.freedom) * moment.variance**0.5
    assert (found.low, found.high) == pytest.approx((min(low, found.mean - half), max(high, found.mean + half)))
    assert found.method == ("bootstrap" if high - low > 2 * half else "t") == method
    assert (found.seeds, found.lemmas, found.freedom) == (seeds, 60, moment.freedom)


def test_the_t_interval_of_a_share_is_symmetric_on_the_logit_scale() -> None:
    one = random_scores(3, 1, 40, right=True, shift=0.4)
    means = bootstrap_means({"A": one}, DRAWS)["A"]
    found = mean_interval(one, means)
    assert found.low is not None and found.high is not None and found.standard_error is not None
    half = stats.t.ppf(0.975, 39) * found.standard_error / (found.mean * (1 - found.mean))
    assert math.log(found.low / (1 - found.low)) == pytest.approx(math.log(found.mean / (1 - found.mean)) - half)
    assert math.log(found.high / (1 - found.high)) == pytest.approx(math.log(found.mean / (1 - found.mean)) + half)
    assert found.mean - found.low > found.high - found.mean  # more room below than above, where most is right
    for value in (found.low, found.high):
        assert mean_p(one, means, value) == pytest.approx(0.05)
    assert mean_p(one, means, 1.5, "less") == mean_p(one, means, 1.0, "less") == 0


def test_one_seed_gives_an_interval_for_new_lemmas_alone() -> None:
    for ours, theirs in ((1, 3), (3, 1), (1, 1)):
        found = difference(random_scores(1, ours), random_scores(2, theirs))
        assert (found.method, found.seeds, found.freedom) == ("lemmas", 1, 29)
    fixed = random_scores(2, 1)._replace(is_fixed=True)
    assert difference(random_scores(1, 3), fixed).seeds == 3
    assert difference(fixed, fixed._replace(values=-fixed.values)).seeds == 0


def test_one_lemma_and_no_variance_give_no_interval() -> None:
    means = bootstrap_means({"A": (one := scores([[1, 0, 1], [1, 1, 0]], [5, 5, 5]))}, DRAWS)
    assert mean_interval(one, means["A"]) == Interval(2 / 3, None, None, None, "none", 2, 1, 3)
    assert mean_p(one, means["A"], 0.5) is None
    means = bootstrap_means({"A": (one := scores([[0.25] * 4] * 3, [0, 0, 1, 2]))}, DRAWS)
    found = mean_interval(one, means["A"])
    assert (found.mean, found.low, found.high, found.method) == (0.25, None, None, "none")
    assert mean_p(one, means["A"], 0.5) is None


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_right_and_all_wrong_have_binomial_bounds_on_lemmas(value: float) -> None:
    one = scores([[value] * 80] * 3, list(range(40)) * 2)
    means = bootstrap_means({"A": one}, DRAWS)
    found = mean_interval(one, means["A"])
    far = 0.025 ** (1 / 40)
    assert (found.low, found.high) == pytest.approx((far, 1.0) if value else (0.0, 1 - far))
    assert (found.method, found.standard_error) == ("exact", 0.0)
    p = mean_p(one, means["A"], far if value else 1 - far)
    assert p == pytest.approx(0.05)


def test_models_that_are_right_on_the_same_items_have_a_difference_of_zero_but_no_certainty() -> None:
    one = random_scores(1, right=True)._replace(values=np.tile(random_scores(1, 1, right=True).values, (3, 1)))
    found = difference(one, one)
    assert found.low is not None and found.high is not None
    assert found.mean == 0
    assert found.high == pytest.approx(1 - 0.0125 ** (1 / 30))
    assert found.low == -found.high
    assert p_of_difference(one, one) == 1


def test_shares_keep_within_their_limits() -> None:
    one = random_scores(1, lemmas=12, right=True, shift=0.6)
    found = mean_interval(one, bootstrap_means({"A": one}, DRAWS)["A"])
    assert found.low is not None and found.high is not None
    assert 0 <= found.low < found.mean < found.high <= 1


def refused(change: Callable[[Floats], None]) -> SeedScores:
    one = random_scores(1)
    change(one.values)
    return one


def test_bad_scores_are_refused() -> None:
    one = random_scores(1)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            bootstrap_means({"A": refused(lambda values, value=value: values.__setitem__((0, 3), value))})  # type: ignore[misc]
    with pytest.raises(ValueError, match="different items"):
        bootstrap_means({"A": one, "B": random_scores(1, lemmas=29)})
    with pytest.raises(ValueError, match="shape"):
        bootstrap_means({"A": one._replace(lemmas=one.lemmas[1:])})
    with pytest.raises(ValueError, match="without seeds"):
        bootstrap_means({"A": one._replace(is_fixed=True)})
    with pytest.raises(ValueError, match="shape"):
        bootstrap_means({"A": SeedScores((), np.empty((0, 4)), np.arange(4))})
    assert bootstrap_means({}) == {}
