"""Variance of a mean or difference over new lemmas and new seeds, by moments.

Each score is taken as mean + lemma + seed + rest, with lemmas and seeds drawn at random and crossed: every seed is scored on
every lemma. The mean over items is a ratio of sums over lemmas (Cochran, Sampling Techniques, 1977, section 6.3), so a
lemma's residual is its sum less its items times the seed's mean. Mean squares are those of a two-way random-effects analysis
of variance with one observation per cell (Searle, Casella and McCulloch, Variance Components, 1992, section 4.5); degrees of
freedom are Satterthwaite's (Biometrics Bulletin 2, 1946).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from console.results.statistics.estimates import Floats, SeedScores, VarianceShares
from console.results.statistics.lemma_sums import LemmaSums, lemma_sums, require_same_items

NEGLIGIBLE = 1e-24
"""A variance below this is rounding: scores are of the order of 1."""


class Moments(NamedTuple):
    """Mean or difference with the parts of its squared standard error, in squared units of the scores.

    Attributes:
        shares: None where nothing is known about new seeds, or there is a single lemma.
        lemma_variance: variance of the mean of these trained models over new lemmas; None with a single lemma.
        freedom: degrees of freedom of ``variance``.
        seeds: of the side that has fewer; 0 where no side has seeds.
    """

    mean: float
    shares: VarianceShares | None
    lemma_variance: float | None
    freedom: float | None
    seeds: int
    lemmas: int
    items: int

    @property
    def variance(self) -> float | None:
        """Squared standard error: over new lemmas and seeds if that is known, else over new lemmas alone."""
        return self.lemma_variance if self.shares is None else self.shares.total

    @property
    def has_seed_variance(self) -> bool:
        return self.shares is not None and self.shares.sides > 0


def moments(ours: SeedScores, theirs: SeedScores | None = None) -> Moments:
    """Moments of the mean of ``ours``, or of ``ours`` minus ``theirs`` on the same items.

    Raises:
        ValueError: the items differ, or the scores have no right shape.
    """
    if theirs is not None:
        require_same_items(ours, theirs)
    sides = [lemma_sums(scores) for scores in (ours, theirs) if scores is not None]
    mean = sides[0].mean - sum(side.mean for side in sides[1:])
    lemmas, items = sides[0].lemmas, sides[0].items
    seeded = [side for side in sides if not side.is_fixed]
    seeds = min((side.seeds for side in seeded), default=0)
    if lemmas < 2:
        return Moments(mean, None, None, None, seeds, lemmas, items)
    correction = lemmas / (lemmas - 1)
    residuals = [(side.sums - side.seed_means[:, None] * side.counts) / items for side in sides]
    combined = residuals[0].mean(axis=0) - sum(one.mean(axis=0) for one in residuals[1:])
    over_lemmas = correction * float(np.square(combined).sum())
    if seeds == 1:
        return Moments(mean, None, over_lemmas, lemmas - 1, seeds, lemmas, items)
    parts = [
        _seed_parts(side, one, correction) for side, one in zip(sides, residuals, strict=True) if not side.is_fixed
    ]
    between, within = (sum(part[number] for part in parts) for number in (0, 1))
    shares = VarianceShares(max(0.0, over_lemmas - within), max(0.0, between - within), within, len(seeded))
    # The mean squares that the estimate is made of; what was cut at zero leaves fewer of them.
    terms: list[tuple[float, float]] = []
    if shares.lemmas or not shares.seeds:
        terms.append((over_lemmas if shares.lemmas else within, lemmas - 1))
    if shares.seeds:
        terms += [(part[0], side.seeds - 1) for part, side in zip(parts, seeded, strict=True)]
    if shares.lemmas and shares.seeds:
        terms += [(part[1], (side.seeds - 1) * (lemmas - 1)) for part, side in zip(parts, seeded, strict=True)]
    return Moments(mean, shares, over_lemmas, _satterthwaite(shares.total, terms), seeds, lemmas, items)


def _seed_parts(side: LemmaSums, residuals: Floats, correction: float) -> tuple[float, float]:
    """Variance of the mean over seeds as the seeds' means show it, and the part of it that is seeds x lemmas."""
    between = float(side.seed_means.var(ddof=1)) / side.seeds
    deviations = np.square(residuals - residuals.mean(axis=0)).sum()
    return between, correction * float(deviations) / (side.seeds - 1) / side.seeds


def _satterthwaite(variance: float, terms: list[tuple[float, float]]) -> float:
    spread = sum(term * term / freedom for term, freedom in terms)
    return variance * variance / spread if variance > NEGLIGIBLE and spread else terms[0][1]
