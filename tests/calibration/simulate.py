"""Simulated scores of conditions over seeds and items of lemmas, whose variance is known part by part."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr  # type: ignore[import-untyped]

from console.results.statistics.estimates import Floats, Integers, SeedScores, VarianceShares

MEAN_SIZE = 2.5
"""Items of a lemma, in the mean: one each, and a geometric number of further ones."""


class Setting(NamedTuple):
    """Standard deviations of what a margin is the sum of; ``seed_share`` is that of a difference's variance.

    Attributes:
        lemma, item: in common to all conditions, so a difference does not have them.
        condition_lemma, condition_item: what a recipe changes of a lemma or item, at every seed.
        seed_lemma, seed_item: what a seed changes of a lemma or item.
        mean: of the margins, so that about three in five are above 0.
        seed: of a seed's effect on all items; None: what makes ``seed_share``.
    """

    seed_share: float = 0.0
    seeds: int = 3
    lemmas: int = 100
    lemma: float = 0.6
    item: float = 0.6
    condition_lemma: float = 0.25
    condition_item: float = 0.25
    seed_lemma: float = 0.2
    seed_item: float = 0.4
    mean: float = 0.3
    seed: float | None = None


class Lemmas(NamedTuple):
    """Number of each item's lemma, (N,)."""

    of_items: Integers

    @property
    def squares(self) -> float:
        """Sum of squared shares of the lemmas: 1 / lemmas if all have as many items."""
        counts = np.bincount(self.of_items)
        return float(np.square(counts / counts.sum()).sum())


def draw_lemmas(setting: Setting, stream: np.random.Generator) -> Lemmas:
    sizes = stream.geometric(1 / MEAN_SIZE, size=setting.lemmas)
    return Lemmas(np.repeat(np.arange(setting.lemmas), sizes))


def true_shares(setting: Setting, lemmas: Lemmas, sides: int = 2) -> VarianceShares:
    """Parts of the squared standard error of a difference, or of a mean without what is common to all conditions."""
    squares, items = lemmas.squares, len(lemmas.of_items)
    of_lemmas = sides * (setting.condition_lemma**2 * squares + setting.condition_item**2 / items)
    rest = sides * (setting.seed_lemma**2 * squares + setting.seed_item**2 / items) / setting.seeds
    of_seeds = setting.seed_share / (1 - setting.seed_share) * (of_lemmas + rest)
    if setting.seed is not None:
        of_seeds = sides * setting.seed**2 / setting.seeds
    return VarianceShares(of_lemmas, of_seeds, rest, sides)


def seed_deviation(setting: Setting, lemmas: Lemmas) -> float:
    """Standard deviation of a seed's effect on all items."""
    return math.sqrt(true_shares(setting, lemmas).seeds * setting.seeds / 2)


class Draw(NamedTuple):
    """One condition's margins and what they are made of.

    Attributes:
        margins: (S, N).
        of_seeds: (S,), what each seed adds to all its margins.
        on_items: (N,), the mean margin of each of these items over all seeds there could be.
    """

    margins: Floats
    of_seeds: Floats
    on_items: Floats


def draw_conditions(
    setting: Setting, lemmas: Lemmas, stream: np.random.Generator, effects: tuple[float, ...] = (0.0, 0.0)
) -> list[Draw]:
    """Scores of a condition for each of ``effects``, which is added to its margins."""
    of_items = lemmas.of_items
    count, items, seeds = setting.lemmas, len(of_items), setting.seeds
    deviation = seed_deviation(setting, lemmas)
    common = setting.mean + setting.lemma * stream.normal(size=count)[of_items]
    common = common + setting.item * stream.normal(size=items)
    draws = []
    for effect in effects:
        own = setting.condition_lemma * stream.normal(size=count)[of_items]
        on_items = common + own + setting.condition_item * stream.normal(size=items) + effect
        of_seeds = deviation * stream.normal(size=seeds)
        noise = setting.seed_lemma * stream.normal(size=(seeds, count))[:, of_items]
        noise += setting.seed_item * stream.normal(size=(seeds, items))
        draws.append(Draw(on_items + of_seeds[:, None] + noise, of_seeds, on_items))
    return draws


def expected_on_items(setting: Setting, lemmas: Lemmas, draw: Draw, right: bool) -> float:
    """The mean over just these items that a condition has over all seeds there could be: of margins, or of right ones."""
    if not right:
        return float(draw.on_items.mean())
    noise = math.hypot(setting.seed_lemma, setting.seed_item, seed_deviation(setting, lemmas))
    return float(ndtr(draw.on_items / noise).mean())


def true_share_right(setting: Setting, lemmas: Lemmas) -> float:
    """Probability that a margin is above 0, over all that is drawn."""
    parts = (
        *(setting.lemma, setting.item, setting.condition_lemma, setting.condition_item),
        *(setting.seed_lemma, setting.seed_item, seed_deviation(setting, lemmas)),
    )
    return NormalDist(0, math.hypot(*parts)).cdf(setting.mean)


def as_margins(margins: Floats, lemmas: Lemmas) -> SeedScores:
    return SeedScores(tuple(range(len(margins))), margins, lemmas.of_items)


def as_right(margins: Floats, lemmas: Lemmas) -> SeedScores:
    """1.0 where the margin is above 0."""
    return as_margins((margins > 0).astype(np.float64), lemmas)
