"""Standard errors and 95% intervals of means over evaluation items, which are clustered by lemma.

Items of one lemma share its senses and often its texts, so they are no independent draws: the lemmas are. A mean over
items is the ratio of two sums over lemmas, of values and of counts, and has the ratio estimator's standard error
(Cochran, Sampling Techniques, 1977, section 6.3) with Student's t of one degree of freedom less than lemmas.

Plain Python with exactly rounded sums, so that anybody gets the same digits from the same items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from engine.contract.metrics import Estimate

COVERAGE = 0.95


def clustered_mean(values: Sequence[float], lemmas: Sequence[str]) -> Estimate:
    """The mean of ``values``, one an item, with the interval for new lemmas; ``lemmas`` names the lemma of each item.

    Standard error and interval are None for fewer than two lemmas.

    Raises:
        ValueError: there is no item, or not one lemma for each.
    """
    if not values or len(values) != len(lemmas):
        raise ValueError(f"{len(values)} values of {len(lemmas)} lemmas")
    count = len(values)
    mean = math.fsum(values) / count
    by_lemma: dict[str, list[float]] = {}
    for value, lemma in zip(values, lemmas, strict=True):
        by_lemma.setdefault(lemma, []).append(value)
    clusters = len(by_lemma)
    if clusters < 2:
        return Estimate(mean, count, clusters)
    residuals = [math.fsum(group) - mean * len(group) for group in by_lemma.values()]
    squares = math.fsum(residual * residual for residual in residuals)
    error = math.sqrt(clusters / (clusters - 1) * squares) / count
    half = t_quantile(COVERAGE, clusters - 1) * error
    return Estimate(mean, count, clusters, error, mean - half, mean + half)


def paired_difference(
    ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], lemmas: Sequence[str]
) -> Estimate:
    """The mean of ``ours`` minus ``theirs`` on the same items, with the interval for new lemmas.

    Each model is given by its seeds, (seeds, items): they are averaged item by item first, so the interval is about
    these trained models on new lemmas and says nothing about new seeds.

    Raises:
        ValueError: a model has no seed, or the items are not the same number everywhere.
    """
    differences = [our - their for our, their in zip(seed_mean(ours), seed_mean(theirs), strict=True)]
    return clustered_mean(differences, lemmas)


def seed_mean(seeds: Sequence[Sequence[float]]) -> list[float]:
    """The mean over seeds of each item's value: (seeds, items) -> (items,).

    Raises:
        ValueError: there is no seed, or seeds have different numbers of items.
    """
    if not seeds:
        raise ValueError("a model without a seed")
    return [math.fsum(values) / len(seeds) for values in zip(*seeds, strict=True)]


@lru_cache(maxsize=256)
def t_quantile(coverage: float, freedom: int) -> float:
    """The t with P(|T| <= t) = ``coverage`` for Student's T with ``freedom`` degrees of freedom, 1 or more."""
    # by bisection in the angle, where the probability is a finite sum and rises from 0 to 1
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        if _probability_within(middle, freedom) < coverage:
            low = middle
        else:
            high = middle
    return math.tan((low + high) / 2) * math.sqrt(freedom)


def _probability_within(angle: float, freedom: int) -> float:
    """P(|T| <= t) for t = tan(``angle``) sqrt(``freedom``) (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    odd = freedom % 2
    cosine = math.cos(angle)
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for n in range(2 + odd, freedom - 1, 2):
        term *= (n - 1) / n * cosine * cosine
        total += term
    series = math.sin(angle) * total
    return 2 / math.pi * (angle + series) if odd else series
