"""What is still needed: consistent with the parts of the variance, reasonable, and in words."""

from __future__ import annotations

import math

import pytest

from console.results.statistics.crossed import bootstrap_means, difference_interval, mean_interval
from console.results.statistics.estimates import Interval, Need, VarianceShares
from console.results.statistics.variance import (
    MAX_WORK_FACTOR,
    need_text,
    variance_shares,
    what_is_needed,
)
from tests.console.results.statistics.score_makers import random_scores, scores

ITEMS, LEMMAS = 663, 277


def interval(mean: float, shares: VarianceShares, seeds: int = 3, quantile: float = 2.0) -> Interval:
    error = math.sqrt(shares.total)
    low, high = mean - quantile * error, mean + quantile * error
    return Interval(mean, low, high, error, "t", seeds, LEMMAS, ITEMS)


def points(lemmas: float, seeds: float, rest: float, sides: int = 2) -> VarianceShares:
    return VarianceShares(lemmas / 1e4, seeds / 1e4, rest / 1e4, sides)


def test_the_smallest_difference_that_can_be_resolved_is_half_the_interval_and_084_errors() -> None:
    found = what_is_needed(interval(0.0, shares := points(1, 0, 0)), shares, 0.0)
    assert found.resolvable == pytest.approx((2.0 + 0.843) / 100, abs=1e-4)


def test_lemmas_that_leave_too_much_are_not_settled_by_seeds_but_by_items() -> None:
    shares = points(1.0, 0.01, 0.2)
    found = what_is_needed(interval(0.022, shares), shares, 0.0)
    assert not found.settled
    assert found.seeds_floor == pytest.approx(0.0196, abs=1e-4)
    assert found.more_seeds is None
    # bootstrap's half: 1.96 sqrt(lemmas + seeds * 2/3 + rest * 7/3), and 0.84 standard errors, at 1 / factor of the items
    assert found.items is not None
    factor = found.items / ITEMS
    left = 1.96 * math.sqrt((1.0 + 0.2 * 7 / 3) / factor + 0.01 * 2 / 3) + 0.842 * math.sqrt(1.2 / factor + 0.01)
    assert left == pytest.approx(2.2, abs=0.02)
    # upwards to two digits
    about = math.ceil(found.items / 100) * 100
    assert need_text(found) == f"more seeds cannot settle this (at any number ±2.0); about {about:,} items would"


def test_seeds_that_leave_too_much_are_settled_by_seeds_but_not_by_items() -> None:
    shares = points(0.05, 1.0, 0.05)
    found = what_is_needed(interval(0.02, shares, quantile=2.5), shares, 0.0)
    assert found.items is None
    assert found.more_seeds is not None and 3 <= found.more_seeds <= 6
    assert need_text(found) == f"{found.more_seeds} more seeds would; more items cannot"


def test_one_fewer_seed_or_item_would_not_do() -> None:
    shares = points(0.1, 0.6, 0.2)
    wanted = 0.02
    found = what_is_needed(interval(wanted, shares, quantile=2.6), shares, 0.0)
    assert found.more_seeds is not None

    def resolvable(more: int) -> float:
        fewer = 3 / (3 + more)
        now = VarianceShares(shares.lemmas, shares.seeds * fewer, shares.rest * fewer)
        again = what_is_needed(interval(wanted, now, 3 + more, quantile=99), now, 0.0)
        assert again.seeds_floor is not None
        # what one more seed would make of it, that is, the same prediction from there
        return 0 if again.more_seeds == 1 else 1

    assert resolvable(found.more_seeds - 1) == 0
    assert resolvable(found.more_seeds - 2) == 1


def test_an_effect_far_below_the_resolution_is_never_a_plan() -> None:
    shares = points(0.98, 0.28, 0.73)
    for mean in (0.0, 0.0005, 0.003):
        found = what_is_needed(interval(mean, shares), shares, 0.0)
        assert (found.more_seeds, found.items, found.both) == (None, None, None)
        assert need_text(found) == ("more seeds or items than is reasonable; this data tells 4.0 points or more")


def test_seeds_and_items_together_where_neither_does_alone() -> None:
    shares = points(0.4, 0.4, 0.2)
    found = what_is_needed(interval(0.015, shares), shares, 0.0)
    assert (found.more_seeds, found.items) == (None, None)
    assert found.both is not None
    seeds, items = found.both
    assert seeds >= 1 and items > ITEMS and (3 + seeds) / 3 * items / ITEMS <= MAX_WORK_FACTOR
    assert need_text(found).startswith(
        f"neither seeds (at any number ±1.2) nor items alone can settle this; {seeds} more seeds"
    )


def test_with_one_seed_only_items_of_these_trained_models_can_be_told() -> None:
    ours, theirs = random_scores(1, 1, 60), random_scores(2, 1, 60)
    assert variance_shares(ours, theirs) is None
    means = bootstrap_means({"A": ours, "B": theirs}, 99)
    found = difference_interval(ours, theirs, means["A"], means["B"])
    need = what_is_needed(found, None, found.mean - 0.9 * (found.mean - (found.low or 0)))
    assert (need.more_seeds, need.seeds_floor, need.both) == (None, None, None)
    assert need.items is not None and 1.5 < need.items / found.items < 4
    assert need_text(need).endswith("items would for these trained models (of other seeds one run says nothing)")


def test_a_threshold_is_a_value_like_another() -> None:
    shares = points(1.0, 0.1, 0.1, sides=1)
    at_zero = what_is_needed(interval(0.03, shares, quantile=4), shares, 0.0)
    at_gate = what_is_needed(interval(0.77, shares, quantile=4), shares, 0.80)
    assert at_zero.resolvable == pytest.approx(at_gate.resolvable)
    assert (at_gate.more_seeds, at_gate.items) == (at_zero.more_seeds, at_zero.items)


def test_where_nearly_nothing_varies_more_lemmas_bring_binomial_bounds_nearer() -> None:
    one = scores([[1.0] * 20] * 3, range(20))
    found = mean_interval(one, bootstrap_means({"A": one}, 99)["A"])
    assert found.low == pytest.approx(0.832, abs=0.001)
    need = what_is_needed(found, variance_shares(one), 0.9)
    assert (need.more_seeds, need.items) == (None, math.ceil(20 * (1 - 0.832) / 0.1))
    assert need_text(need) == "more seeds cannot settle this; about 34 items would"
    assert what_is_needed(found, variance_shares(one), 0.999).items is None
    assert what_is_needed(found, variance_shares(one), 1.0).items is None
    assert what_is_needed(found, variance_shares(one), 0.8).settled


def test_settled_and_unknown() -> None:
    shares = points(1.0, 0.1, 0.1)
    found = what_is_needed(interval(-0.09, shares), shares, 0.0)
    assert (found.settled, found.more_seeds, found.items) == (True, None, None)
    assert need_text(found) == "settled; this data tells 3.1 points or more"
    nothing = what_is_needed(Interval(0.5, None, None, None, "none", 3, 1, 10), None, 0.0)
    assert nothing == Need(False, None)
    assert "cannot be told" in need_text(nothing)


def test_words() -> None:
    assert need_text(Need(False, 0.02, 0.01, more_seeds=1, items=1234)) == "1 more seed or about 1,300 items would"
    assert need_text(Need(False, 0.0213, 0.01), "cosine") == (
        "more seeds or items than is reasonable; this data tells 0.021 or more"
    )


def test_parts_of_a_mean_have_one_side() -> None:
    assert (shares := variance_shares(random_scores(1))) is not None
    assert shares.sides == 1
    assert variance_shares(scores([[1, 0], [0, 0]], [3, 3])) is None
