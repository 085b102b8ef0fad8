"""Sign-flip test of whole lemmas, seeds averaged per item: are these trained models better on new lemmas?

Under the null hypothesis a lemma's difference is as likely to have either sign (Fisher's randomization test; Ernst, Statistical
Science 19, 2004). p counts the data as one more draw, so it is never 0 (Phipson and Smyth, Statistical Applications in
Genetics and Molecular Biology 9, 2010). Where few lemmas differ at all, every pattern of signs is tried.

The interval holds the differences that the same test with the same signs does not reject. Taking a difference d away from
each item, a pattern is at least as extreme as the data exactly if d lies between the mean over items of the lemmas that
it flips and that of the others (as with Hartigan's typical values, JASA 64, 1969), so the bounds are order statistics.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from console.results.statistics.estimates import Floats, Interval, LemmaTest, SeedScores
from console.results.statistics.few_lemmas import few_lemmas
from console.results.statistics.lemma_sums import lemma_sums, require_same_items
from console.results.statistics.moments import moments

FLIPS = 10_000
CHUNK_VALUES = 2**21


def lemma_test(
    ours: SeedScores, theirs: SeedScores, seed: int = 0, level: float = 0.95, flips: int = FLIPS
) -> LemmaTest:
    """Test of ``ours`` minus ``theirs`` on the same items; it says nothing about new seeds.

    Args:
        flips: patterns of signs that are drawn; all of them are tried where there are no more than that.

    Raises:
        ValueError: the items differ, or the scores have no right shape.
    """
    require_same_items(ours, theirs)
    our, their = lemma_sums(ours), lemma_sums(theirs)
    sums = our.sums.mean(axis=0) - their.sums.mean(axis=0)
    found = moments(ours, theirs)
    if found.lemma_variance is None:
        return LemmaTest(
            Interval(found.mean, None, None, None, "none", found.seeds, found.lemmas, found.items, level), None
        )
    lows, highs, is_exact = _accepted(sums, our.counts, seed, flips)
    patterns = len(lows) + (not is_exact)  # all patterns hold the data themselves; drawn ones need not
    p = float((np.count_nonzero((lows <= 0) & (highs >= 0)) + (not is_exact)) / patterns)
    # so many patterns may accept a difference that p is still below the error
    rank = math.ceil(patterns * (1 - level) - 1e-9) - (not is_exact)
    low, high = (-math.inf, math.inf)
    if rank > 0:
        low = float(np.partition(lows, rank - 1)[rank - 1])
        high = -float(np.partition(-highs, rank - 1)[rank - 1])
    method: Literal["lemmas", "exact"] = "lemmas"
    if few := few_lemmas(ours, theirs):
        p = max(p, min(1.0, 2 * min(few.p_greater(0.0), few.p_less(0.0))))
        low, high = min(low, few.low((1 - level) / 2)), max(high, few.high((1 - level) / 2))
        method = "exact"
    is_bounded = math.isfinite(low) and math.isfinite(high)
    interval = Interval(
        found.mean,
        low if is_bounded else None,
        high if is_bounded else None,
        math.sqrt(found.lemma_variance),
        method if is_bounded else "none",
        found.seeds,
        found.lemmas,
        found.items,
        level,
    )
    return LemmaTest(interval, p)


def _accepted(sums: Floats, counts: Floats, seed: int, flips: int) -> tuple[Floats, Floats, bool]:
    """For each pattern of signs the least and greatest difference under which it is as extreme as the data.

    Returns:
        (patterns,) twice, and whether they are all patterns there are.
    """
    patterns, is_exact = _sign_patterns(len(counts), seed, flips)
    low, high = np.empty(len(patterns)), np.empty(len(patterns))
    both = np.stack([sums, counts], axis=1)  # (L, 2)
    chunk = max(1, CHUNK_VALUES // len(counts))
    for start in range(0, len(patterns), chunk):
        part = slice(start, start + chunk)
        flipped = patterns[part].astype(np.float64) @ both
        others = both.sum(axis=0) - flipped
        with np.errstate(divide="ignore", invalid="ignore"):
            means = np.stack([flipped[:, 0] / flipped[:, 1], others[:, 0] / others[:, 1]])
        low[part], high[part] = means.min(axis=0), means.max(axis=0)
    # with all or none flipped, the pattern is as extreme as the data under any difference
    whole = np.isnan(low)
    tolerance = 1e-12 * max(1.0, float(np.abs(sums).max()))  # equal sums added up in another order
    return np.where(whole, -math.inf, low - tolerance), np.where(whole, math.inf, high + tolerance), is_exact


@lru_cache(maxsize=4)
def _sign_patterns(lemmas: int, seed: int, flips: int) -> tuple[npt.NDArray[np.bool_], bool]:
    """(patterns, lemmas), which lemmas to flip: all patterns if these are few, else ``flips`` random ones."""
    if 2**lemmas <= flips:
        return (np.arange(2**lemmas)[:, None] >> np.arange(lemmas) & 1).astype(bool), True
    return np.random.default_rng(seed).integers(2, size=(flips, lemmas), dtype=np.int8).astype(bool), False
