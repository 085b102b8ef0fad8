"""Tests of two conditions by pairs: t over seeds, McNemar over items, and the share of seed pairs that one side wins."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from msgspec.structs import replace
from scipy.special import bdtr, nctdtr, stdtr, stdtrit  # type: ignore[import-untyped]

from console.results.statistics.estimates import McNemar, PairedT, SeedScores
from console.results.statistics.lemma_sums import item_means, require_same_items

LEVEL = 0.05
POWER = 0.8
ROUNDING = 1e-12
"""Relative to the scores: deviations below it are those of adding numbers up."""


def paired_t(ours: Mapping[int, float], theirs: Mapping[int, float]) -> PairedT:
    """Student's paired t over the seeds that both have; Welch's t of all seeds, as if they were no pairs, beside it.

    Args:
        ours, theirs: mean score by seed.
    """
    seeds = tuple(sorted(ours.keys() & theirs.keys()))
    differences = tuple(ours[seed] - theirs[seed] for seed in seeds)
    pairs = len(differences)
    mean = math.fsum(differences) / pairs if pairs else None
    deviation = statistics.stdev(differences) if pairs > 1 else None
    found = PairedT(seeds, differences, mean, deviation, None, None, None, None, detectable(pairs))
    if mean is None or deviation is None:
        note = f"{pairs} seed{'' if pairs == 1 else 's'} in both: a t-test needs two pairs"
        return replace(found, note=note)
    found = _with_welch(found, list(ours.values()), list(theirs.values()))
    if deviation <= ROUNDING * max(map(abs, (*ours.values(), *theirs.values()))):
        return replace(found, deviation=0.0, note="all differences are equal: without variance there is no t")
    freedom = pairs - 1
    t = mean / (deviation / math.sqrt(pairs))
    correction = hedges_correction(freedom)
    effect = None if correction is None else correction * mean / deviation
    return replace(found, t=t, freedom=freedom, p=2 * float(stdtr(freedom, -abs(t))), effect=effect)


def _with_welch(found: PairedT, ours: Sequence[float], theirs: Sequence[float]) -> PairedT:
    """With Welch's t (Biometrika 34, 1947), whose freedom is Satterthwaite's."""
    parts = [statistics.variance(side) / len(side) for side in (ours, theirs)]
    error = math.sqrt(sum(parts))
    if error <= ROUNDING * max(map(abs, (*ours, *theirs))):
        return found
    t = (math.fsum(ours) / len(ours) - math.fsum(theirs) / len(theirs)) / error
    freedom = sum(parts) ** 2 / sum(
        part * part / (len(side) - 1) for part, side in zip(parts, (ours, theirs), strict=True)
    )
    return replace(found, welch_t=t, welch_freedom=freedom, welch_p=2 * float(stdtr(freedom, -abs(t))))


def hedges_correction(freedom: int) -> float | None:
    """Factor that makes a standardized mean unbiased (Hedges, Journal of Educational Statistics 6, 1981).

    None with one degree of freedom, where there is none.
    """
    if freedom < 2:
        return None
    return math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)


@lru_cache(maxsize=256)
def detectable(pairs: int, power: float = POWER, level: float = LEVEL) -> float | None:
    """Effect, in standard deviations of the differences, that a two-sided paired t-test finds with probability ``power``.

    By the noncentral t; 3.3 for three pairs. None for fewer than two.
    """
    if pairs < 2:
        return None
    low, high = 0.0, 1.0
    while paired_power(high, pairs, level) < power:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if paired_power(middle, pairs, level) < power else (low, middle)
    return high


def paired_power(effect: float, pairs: int, level: float = LEVEL) -> float:
    """Probability that a two-sided paired t-test of ``pairs`` pairs finds ``effect`` standard deviations."""
    freedom, shift = pairs - 1, effect * math.sqrt(pairs)
    critical = float(stdtrit(freedom, 1 - level / 2))
    return float(1 - nctdtr(freedom, shift, critical) + nctdtr(freedom, shift, -critical))


def mcnemar(ours: SeedScores, theirs: SeedScores) -> McNemar:
    """Exact two-sided McNemar test over items (Biometrika 12, 1947), each right where more than half of the seeds are.

    It takes items as independent, which items of one lemma are not: read it beside the sign-flip of lemmas.

    Raises:
        ValueError: the items differ.
    """
    require_same_items(ours, theirs)
    our_right, their_right = (item_means(scores) > 0.5 for scores in (ours, theirs))
    ours_only = int(np.count_nonzero(our_right & ~their_right))
    theirs_only = int(np.count_nonzero(their_right & ~our_right))
    p = 2 * float(bdtr(min(ours_only, theirs_only), ours_only + theirs_only, 0.5))
    return McNemar(ours_only, theirs_only, min(1.0, p))


def probability_greater(ours: Iterable[float], theirs: Iterable[float]) -> float | None:
    """Share of pairs of one seed of each side in which ours is above theirs, ties as a half; None without pairs.

    The area under the ROC curve, or Mann and Whitney's U over the number of pairs.
    """
    pairs = [(our > their) + (our == their) / 2 for our, their in itertools.product(ours, theirs)]
    return math.fsum(pairs) / len(pairs) if pairs else None
