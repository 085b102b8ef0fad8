"""Scores summed by lemma: a mean over items is a ratio of two sums over lemmas, so a draw of lemmas is a weight on each."""

from __future__ import annotations

import statistics
from typing import NamedTuple

import numpy as np

from console.results.statistics.estimates import Floats, SeedScores


class LemmaSums(NamedTuple):
    """One model's scores by seed and lemma.

    Attributes:
        sums: (S, L), the sum over each lemma's items; of a fixed model (1, L).
        counts: (L,), items of each lemma, at least 1.
    """

    sums: Floats
    counts: Floats
    is_fixed: bool

    @property
    def lemmas(self) -> int:
        return len(self.counts)

    @property
    def seeds(self) -> int:
        """Number of seeds; 0 of a model without seeds, as frozen mean pooling."""
        return 0 if self.is_fixed else len(self.sums)

    @property
    def items(self) -> int:
        return int(self.counts.sum())

    @property
    def seed_means(self) -> Floats:
        """Mean score of each seed over all items: (S,)."""
        means: Floats = self.sums.sum(axis=1) / self.counts.sum()
        return means

    @property
    def mean(self) -> float:
        return statistics.fmean(self.seed_means.tolist())  # rounded once, as everywhere else where seeds are averaged


def lemma_sums(scores: SeedScores) -> LemmaSums:
    """Sums and counts by lemma.

    Raises:
        ValueError: no seed or no item, a shape that does not fit, a value that is no finite number, or a fixed model
            with several rows.
    """
    values, lemmas = scores.values, scores.lemmas
    if values.ndim != 2 or 0 in values.shape or lemmas.shape != values.shape[1:]:
        raise ValueError(
            f"scores of shape {values.shape} for {lemmas.shape} lemmas: (seeds, items) and (items,) needed"
        )
    if scores.is_fixed and len(values) != 1:
        raise ValueError(f"a model without seeds has {len(values)} rows of scores")
    if not np.isfinite(values).all():
        raise ValueError("a score is not a finite number")
    _, lemma_of_item = np.unique(lemmas, return_inverse=True)
    counts = np.bincount(lemma_of_item).astype(np.float64)
    sums: Floats = np.stack([np.bincount(lemma_of_item, weights=row) for row in values]).astype(np.float64)
    return LemmaSums(sums, counts, scores.is_fixed)


def require_same_items(first: SeedScores, second: SeedScores) -> None:
    """Raises ValueError unless both have the same lemma at each item; their items are taken to be the same."""
    if not np.array_equal(first.lemmas, second.lemmas):
        raise ValueError("two models are compared on different items")


def item_means(scores: SeedScores) -> Floats:
    """Mean score of each item over the seeds: (N,)."""
    means: Floats = scores.values.mean(axis=0)
    return means


def is_binary(scores: SeedScores) -> bool:
    """Whether each value says right or wrong, so that means are shares."""
    return bool(((scores.values == 0) | (scores.values == 1)).all())
