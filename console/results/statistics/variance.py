"""What is still needed: which part of a difference's variance is large, and how many seeds or items would settle it.

A comparison is settled four times in five, if the true value is what was observed, where the distance from the value in
question is half of the interval's width plus 0.84 standard errors. Both are predicted for other numbers of seeds and items
from the parts: lemmas' and rest's shrink with items (of proportionally more lemmas), seeds' and rest's with seeds.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from scipy.special import ndtri, stdtrit  # type: ignore[import-untyped]

from console.results.statistics.estimates import Interval, Need, SeedScores, VarianceShares
from console.results.statistics.moments import moments

POWER = 0.8
MAX_MORE_SEEDS = 50
MAX_ITEMS_FACTOR = 10
"""More than so many times the present items is no plan."""
ENDLESS_SEEDS = 10**9


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
    more = design.more(0)
    resolvable = (interval.high - interval.low) / 2 + more.power_quantile * interval.standard_error
    floor = design.more(ENDLESS_SEEDS).half_width if parts.sides else None
    if interval.low > value or interval.high < value:
        return Need(True, resolvable, floor)
    more_seeds = None
    if parts.sides:
        more_seeds = next((n for n in range(1, MAX_MORE_SEEDS + 1) if design.more(n).resolvable <= distance), None)
    factor = _items_factor(design, distance)
    items = None if factor is None else math.ceil(factor * interval.items)
    both = None
    if parts.sides and more_seeds is None and items is None:
        both = _seeds_and_items(design, distance, interval.items)
    return Need(False, resolvable, floor, more_seeds, items, both)


class _Precision(NamedTuple):
    """Of one number of seeds and items: half of the predicted interval, and what must be added to find four in five."""

    half_width: float
    standard_error: float
    power_quantile: float

    @property
    def resolvable(self) -> float:
        return self.half_width + self.power_quantile * self.standard_error


class _Design(NamedTuple):
    """Parts of a variance at the present numbers of seeds and lemmas."""

    shares: VarianceShares
    seeds: int
    lemmas: int
    level: float

    def more(self, seeds: int, items_factor: float = 1.0) -> _Precision:
        """Precision with so many more seeds for each condition, and so many times the items."""
        total, lemmas, sides = self.seeds + seeds, self.lemmas * items_factor, self.shares.sides
        fewer = self.seeds / total if sides else 1.0
        of_lemmas = self.shares.lemmas / items_factor
        of_seeds, rest = self.shares.seeds * fewer, self.shares.rest * fewer / items_factor
        variance = of_lemmas + of_seeds + rest
        terms = [((of_lemmas + rest), lemmas - 1)]
        if sides:
            terms += [(of_seeds + rest, sides * (total - 1)), (rest, sides * (total - 1) * (lemmas - 1))]
        spread = sum(term * term / freedom for term, freedom in terms)
        freedom = variance * variance / spread if spread else lemmas - 1
        half = float(stdtrit(freedom, 1 - self.level / 2)) * math.sqrt(variance)
        if sides:  # the bootstrap's, in the mean: it counts the rest up to three times, and n units as n - 1
            drawn = of_lemmas * (1 - 1 / lemmas) + of_seeds * (1 - 1 / total)
            drawn += rest * ((2 - 1 / lemmas) * (2 - 1 / total) - 1)
            half = max(half, float(ndtri(1 - self.level / 2)) * math.sqrt(drawn))
        return _Precision(half, math.sqrt(variance), float(stdtrit(freedom, POWER)))


def _items_factor(design: _Design, distance: float, seeds: int = 0) -> float | None:
    """Least multiple of the present items that settles it with so many more seeds; None above ``MAX_ITEMS_FACTOR``."""
    low, high = 1.0, float(MAX_ITEMS_FACTOR)
    if design.more(seeds, high).resolvable > distance:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if design.more(seeds, middle).resolvable <= distance else (middle, high)
    return high


def _seeds_and_items(design: _Design, distance: float, items: int) -> tuple[int, int] | None:
    """Further seeds and items in all with the least product of seeds and items, which evaluation time goes with."""
    found = []
    for seeds in range(1, MAX_MORE_SEEDS + 1):
        if factor := _items_factor(design, distance, seeds):
            found.append(((design.seeds + seeds) * factor, seeds, math.ceil(factor * items)))
    return min(found)[1:] if found else None


def need_text(need: Need, unit: Literal["points", "cosine"] = "points") -> str:
    """Words for ``need``; in points a value of 0.01 is 1.0.

    Such as ``more seeds cannot settle this (at any number ±1.9); about 1,400 items would``.
    """

    def amount(value: float) -> str:
        return f"{100 * value:.1f}" if unit == "points" else f"{value:.3f}"

    if need.resolvable is None:
        return "cannot be told: too few lemmas, or nothing varies"
    resolves = f"this data can resolve {amount(need.resolvable)}{' points' if unit == 'points' else ''}"
    if need.settled:
        return f"settled; {resolves}"
    floor = "" if need.seeds_floor is None else f" (at any number ±{amount(need.seeds_floor)})"
    if need.more_seeds is not None and need.items is not None:
        return f"{_seeds(need.more_seeds)} or about {_about(need.items)} items would"
    if need.more_seeds is not None:
        return f"{_seeds(need.more_seeds)} would; more items cannot"
    if need.items is not None and need.seeds_floor is None:
        return f"about {_about(need.items)} items would, for these trained models; nothing is known about other seeds"
    if need.items is not None:
        return f"more seeds cannot settle this{floor}; about {_about(need.items)} items would"
    if need.both is not None:
        seeds, items = need.both
        return f"neither seeds{floor} nor items alone can settle this; {_seeds(seeds)} with about {_about(items)} items would"
    return f"none resolvable: {resolves}"


def _seeds(count: int) -> str:
    return f"{count} more seed{'' if count == 1 else 's'}"


def _about(count: int) -> str:
    """Two significant digits, upwards: a number estimated from a few seeds has no more."""
    step = 10 ** max(0, len(str(count)) - 2)
    return f"{math.ceil(count / step) * step:,}"
