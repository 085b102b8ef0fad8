"""What is still needed: which part of a difference's variance is large, and how many seeds or items would settle it.

A number is enough where the interval that decides would exclude the value in question four times in five, if the truth is
what was observed. Width and error are predicted from the parts of the variance: lemmas' and rest's shrink with items (of
proportionally more lemmas), seeds' and rest's with seeds.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import gammaincinv, ndtr, ndtri, stdtrit  # type: ignore[import-untyped]

from console.results.statistics.estimates import Interval, Need, SeedScores, VarianceShares
from console.results.statistics.moments import moments

POWER = 0.8
MAX_MORE_SEEDS = 50
MAX_ITEMS_FACTOR = 10
MAX_WORK_FACTOR = 20
"""More than so many times the present items, or items times seeds, is no plan."""
QUANTILES = (np.arange(16) + 0.5) / 16
"""Of the observed variance between seeds: sixteen equally likely outcomes."""


def variance_shares(ours: SeedScores, theirs: SeedScores | None = None) -> VarianceShares | None:
    """Parts of the squared standard error of a mean, or of ``ours`` minus ``theirs``.

    None where nothing is known about new seeds, as with one seed, or about new lemmas.
    """
    return moments(ours, theirs).shares


def what_is_needed(interval: Interval, shares: VarianceShares | None, value: float, level: float = 0.05) -> Need:
    """What would settle on which side of ``value`` the true mean or difference is.

    Args:
        interval: at coverage 1 - ``level``.
        shares: its variance's parts; None with one seed, when only items can be told, for these trained models.
    """
    if interval.low is None or interval.high is None or interval.standard_error is None:
        return Need(False, None)
    parts = shares or VarianceShares(interval.standard_error**2, 0.0, 0.0, sides=0)
    design = _Design(parts, interval.seeds, interval.lemmas, level)
    distance = abs(interval.mean - value)
    resolvable = (interval.high - interval.low) / 2 + float(ndtri(POWER)) * interval.standard_error
    floor = None
    if parts.sides:  # what no number of seeds takes away
        floor = float(stdtrit(interval.lemmas - 1, 1 - level / 2)) * math.sqrt(parts.lemmas)
    known = interval.seeds != 1
    if interval.low > value or interval.high < value:
        return Need(True, resolvable, floor, knows_seeds=known)
    if interval.method == "exact":  # binomial bounds close in with the number of lemmas, as the rule of three says
        reach = interval.mean - interval.low if interval.mean > value else interval.high - interval.mean
        is_near = 0 < reach <= MAX_ITEMS_FACTOR * distance
        items = math.ceil(interval.items * reach / distance) if is_near else None
        return Need(False, resolvable, items=items, knows_seeds=known)
    more_seeds = _more_seeds(design, distance)
    factor = _items_factor(design, distance)
    items = None if factor is None else math.ceil(factor * interval.items)
    both = None
    if more_seeds is None and items is None:
        both = _seeds_and_items(design, distance, interval.items)
    return Need(False, resolvable, floor, more_seeds, items, both, known)


class _Design(NamedTuple):
    """Parts of a variance at the present numbers of seeds and lemmas."""

    shares: VarianceShares
    seeds: int
    lemmas: int
    level: float

    def finds(self, distance: float, more_seeds: int, items_factor: float = 1.0) -> bool:
        """Whether the interval excludes a value at ``distance`` four times in five, with other numbers of seeds and items.

        The estimate is normal around the truth. The interval's width is random too where there are few seeds, as their
        observed variance is: that of seeds and rest times chi-squared over its freedom, taken at ``QUANTILES``.
        """
        sides, lemmas = self.shares.sides, self.lemmas * items_factor
        of_lemmas = self.shares.lemmas / items_factor
        if not sides:
            half = stdtrit(lemmas - 1, 1 - self.level / 2) * math.sqrt(of_lemmas)
            return bool(ndtr((distance - half) / math.sqrt(of_lemmas)) >= POWER)
        seeds = self.seeds + more_seeds
        of_seeds = self.shares.seeds * self.seeds / seeds
        rest = self.shares.rest * self.seeds / seeds / items_factor
        freedom = sides * (seeds - 1)
        between = (of_seeds + rest) * gammaincinv(freedom / 2, QUANTILES) * 2 / freedom
        # the t interval, as in moments: of lemmas alone where the seeds' part comes out below zero
        above = between > rest
        variance = of_lemmas + np.where(above, between, rest)
        spread = (of_lemmas + rest) ** 2 / (lemmas - 1)
        spread = spread + above * (between**2 / freedom + rest**2 / (freedom * (lemmas - 1)))
        half = stdtrit(variance**2 / spread, 1 - self.level / 2) * np.sqrt(variance)
        # the bootstrap's: it takes n units for n - 1, and counts the rest up to three times (Owen 2007)
        drawn = of_lemmas + rest + (between + rest) * (1 - 1 / seeds)
        half = np.maximum(half, ndtri(1 - self.level / 2) * np.sqrt(drawn))
        error = math.sqrt(of_lemmas + of_seeds + rest)
        return bool(ndtr((distance - half) / error).mean() >= POWER)


def _more_seeds(design: _Design, distance: float) -> int | None:
    """Least number of further seeds that settles it; None above ``MAX_MORE_SEEDS``."""
    if not design.shares.sides or not design.finds(distance, MAX_MORE_SEEDS):
        return None
    low, high = 0, MAX_MORE_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if design.finds(distance, middle) else (middle, high)
    return high


def _items_factor(design: _Design, distance: float, seeds: int = 0) -> float | None:
    """Least multiple of the present items that settles it with so many more seeds; None above ``MAX_ITEMS_FACTOR``."""
    low, high = 1.0, float(MAX_ITEMS_FACTOR)
    if not design.finds(distance, seeds, high):
        return None
    for _ in range(12):  # to a four-thousandth of the range
        middle = (low + high) / 2
        low, high = (low, middle) if design.finds(distance, seeds, middle) else (middle, high)
    return high


def _seeds_and_items(design: _Design, distance: float, items: int) -> tuple[int, int] | None:
    """Further seeds and items in all with the least product of seeds and items, which the work goes with."""
    if not design.shares.sides or not design.finds(distance, MAX_MORE_SEEDS, MAX_ITEMS_FACTOR):
        return None
    found = []
    for seeds in (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, MAX_MORE_SEEDS):
        if factor := _items_factor(design, distance, seeds):
            found.append(((design.seeds + seeds) / design.seeds * factor, seeds, math.ceil(factor * items)))
    work, seeds, wanted = min(found, default=(math.inf, 0, 0))
    return (seeds, wanted) if work <= MAX_WORK_FACTOR else None


def need_text(need: Need, unit: Literal["points", "cosine"] = "points") -> str:
    """Words for ``need``; in points a value of 0.01 is 1.0.

    Such as ``more seeds cannot settle this (at any number ±1.9); about 1,400 items would``.
    """

    def amount(value: float) -> str:
        return f"{100 * value:.1f}" if unit == "points" else f"{value:.3f}"

    if need.resolvable is None:
        return "cannot be told: too few lemmas, or nothing varies"
    resolves = f"this data tells {amount(need.resolvable)}{' points' if unit == 'points' else ''} or more"
    limits = "" if need.knows_seeds else " for these trained models (of other seeds one run says nothing)"
    if need.settled:
        return f"settled{limits}; {resolves}"
    floor = "" if need.seeds_floor is None else f" (at any number ±{amount(need.seeds_floor)})"
    if need.more_seeds is not None and need.items is not None:
        return f"{_seeds(need.more_seeds)} or about {about(need.items)} items would"
    if need.more_seeds is not None:
        return f"{_seeds(need.more_seeds)} would; more items cannot"
    if need.items is not None and not need.knows_seeds:
        return f"about {about(need.items)} items would{limits}"
    if need.items is not None:
        return f"more seeds cannot settle this{floor}; about {about(need.items)} items would"
    if need.both is not None:
        seeds, items = need.both
        together = f"{_seeds(seeds)} with about {about(items)} items would"
        return f"neither seeds{floor} nor items alone can settle this; {together}"
    return f"more seeds or items than is reasonable{limits}; {resolves}"


def _seeds(count: int) -> str:
    return f"{count} more seed{'' if count == 1 else 's'}"


def about(count: int) -> str:
    """``3,100`` for 3,051: two significant digits, upwards, since a number estimated from a few seeds has no more."""
    step = 10 ** max(0, len(str(count)) - 2)
    return f"{math.ceil(count / step) * step:,}"
