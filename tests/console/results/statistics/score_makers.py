"""Small scores for tests of the statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from console.results.statistics.estimates import SeedScores


def scores(values: Sequence[Sequence[float]], lemmas: Sequence[int], fixed: bool = False) -> SeedScores:
    """From rows of seeds; the seeds are called 1, 2, ..."""
    array = np.array(values, dtype=np.float64)
    return SeedScores(tuple(range(1, len(array) + 1)), array, np.array(lemmas, dtype=np.intp), fixed)


def random_scores(
    number: int, seeds: int = 3, lemmas: int = 30, right: bool = False, of_seeds: float = 0.1, shift: float = 0.0
) -> SeedScores:
    """Clustered margins, or right and wrong, on the same lemmas for every ``number``: 1 to 4 items each."""
    sizes = np.random.default_rng(0).integers(1, 5, size=lemmas)
    of_items = np.repeat(np.arange(lemmas), sizes)
    stream = np.random.default_rng([1, number])
    values = 0.5 * stream.normal(size=lemmas)[of_items] + of_seeds * stream.normal(size=(seeds, 1))
    values = values + 0.3 * stream.normal(size=(seeds, len(of_items))) + shift
    return SeedScores(tuple(range(seeds)), (values > 0).astype(np.float64) if right else values, of_items)
