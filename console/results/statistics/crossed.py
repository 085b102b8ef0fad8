"""Intervals and p values over new lemmas and new seeds at once: is a recipe better?

The crossed bootstrap draws lemmas and, independently, each condition's seeds with replacement; a score counts as often as its
lemma times its seed was drawn ("pigeonhole bootstrap": Owen, Annals of Applied Statistics 1, 2007). It overstates the part of
lemmas x seeds, but with few seeds it understates the seeds' part, by a third with three. Student's t with variance by moments
and Satterthwaite's freedom (``moments``) does not. Whichever reaches farther decides, so that a value is excluded only if
both exclude it, and p is the greater of theirs.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import expit, logit, stdtr, stdtrit  # type: ignore[import-untyped]

from console.results.statistics.estimates import Floats, Interval, SeedScores, Side
from console.results.statistics.few_lemmas import FewLemmas, few_lemmas
from console.results.statistics.lemma_sums import is_binary, lemma_sums, require_same_items
from console.results.statistics.moments import NEGLIGIBLE, Moments, moments

CHUNK_VALUES = 2**22
"""Numbers that one chunk of draws holds at a time, so that memory does not grow with the number of draws."""


def bootstrap_means(models: Mapping[str, SeedScores], draws: int = 10_000, seed: int = 0) -> dict[str, Floats]:
    """(draws,) means of each model over drawn lemmas and seeds.

    Lemmas are drawn alike for all models, so that differences between models are paired. Seeds are drawn for each model
    by itself, from a stream of its name, so that no number depends on what else is compared.

    Raises:
        ValueError: the models have different items, or scores of no right shape.
    """
    if not models:
        return {}
    first = next(iter(models.values()))
    sums = {}
    for name, scores in models.items():
        require_same_items(first, scores)
        sums[name] = lemma_sums(scores)
    counts = next(iter(sums.values())).counts
    stacked = np.concatenate([one.sums for one in sums.values()]).T  # (L, all seeds)
    columns = np.cumsum([0, *(len(one.sums) for one in sums.values())])
    lemma_stream = np.random.default_rng([seed])
    seed_streams = [np.random.default_rng([seed, zlib.crc32(name.encode())]) for name in sums]
    found = np.empty((len(sums), draws))
    chunk = max(1, CHUNK_VALUES // (len(counts) + stacked.shape[1]))
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        weights = _draw_counts(lemma_stream, size, len(counts))  # (size, L)
        means = (weights @ stacked) / (weights @ counts)[:, None]  # (size, all seeds)
        for number, (one, stream) in enumerate(zip(sums.values(), seed_streams, strict=True)):
            own = means[:, columns[number] : columns[number + 1]]
            if one.seeds > 1:
                own = own * _draw_counts(stream, size, one.seeds)
            found[number, start : start + size] = own.sum(axis=1) / len(one.sums)
    return dict(zip(sums, found, strict=True))


def _draw_counts(stream: np.random.Generator, draws: int, units: int) -> Floats:
    """(draws, units), how often each unit comes when ``units`` are drawn with replacement."""
    drawn = stream.integers(units, size=(draws, units)) + units * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * units).reshape(draws, units).astype(np.float64)


def mean_interval(scores: SeedScores, draws: Floats, level: float = 0.95) -> Interval:
    """Interval of a model's mean; ``draws`` are its own of ``bootstrap_means``."""
    return _interval(_evidence(scores, None, draws), level)


def difference_interval(
    ours: SeedScores, theirs: SeedScores, our_draws: Floats, their_draws: Floats, level: float = 0.95
) -> Interval:
    """Interval of ``ours`` minus ``theirs``; both draws come from one call of ``bootstrap_means``."""
    return _interval(_evidence(ours, theirs, our_draws - their_draws), level)


def mean_p(scores: SeedScores, draws: Floats, value: float, side: Side = "two-sided") -> float | None:
    """p of the hypothesis that the true mean is ``value``; below ``a`` exactly where the 1 - a interval excludes it.

    One-sided, "greater": that it is ``value`` or less, so a small p says that it is greater. None without interval.
    """
    return _p(_evidence(scores, None, draws), value, side)


def difference_p(
    ours: SeedScores,
    theirs: SeedScores,
    our_draws: Floats,
    their_draws: Floats,
    value: float = 0.0,
    side: Side = "two-sided",
) -> float | None:
    """p of the hypothesis that ``ours`` minus ``theirs`` is ``value``; -margin and "greater" for non-inferiority."""
    return _p(_evidence(ours, theirs, our_draws - their_draws), value, side)


def bootstrap_p(draws: Floats, value: float = 0.0, side: Side = "two-sided") -> float:
    """p by the bootstrap alone: the share of draws beyond ``value``, the data counted as one more (never 0)."""
    greater = (1 + int(np.count_nonzero(draws <= value))) / (len(draws) + 1)
    less = (1 + int(np.count_nonzero(draws >= value))) / (len(draws) + 1)
    return _of_side(greater, less, side)


def bootstrap_bounds(draws: Floats, level: float = 0.95) -> tuple[float, float]:
    """Percentile bounds; they exclude a value exactly where ``bootstrap_p`` is below 1 - ``level``."""
    # the largest count of draws at or below a value that leaves its one-sided p below the error
    rank = max(1, math.ceil((len(draws) + 1) * (1 - level) / 2 - 1e-9) - 1)
    ordered = np.partition(draws, [rank - 1, len(draws) - rank])
    return float(ordered[rank - 1]), float(ordered[len(draws) - rank])


class _Evidence(NamedTuple):
    """All that bounds of one mean or difference are made of; ``limits`` are those of shares and their differences."""

    moments: Moments
    draws: Floats
    few: FewLemmas | None
    limits: tuple[float, float]

    @property
    def is_share(self) -> bool:
        """Whether it is one model's share, which is not 0 or 1 itself."""
        return self.limits == (0.0, 1.0) and 0 < self.moments.mean < 1


def _evidence(ours: SeedScores, theirs: SeedScores | None, draws: Floats) -> _Evidence:
    binary = is_binary(ours) and (theirs is None or is_binary(theirs))
    low = 0.0 if theirs is None else -1.0
    limits = (low, 1.0) if binary else (-math.inf, math.inf)
    return _Evidence(moments(ours, theirs), draws, few_lemmas(ours, theirs), limits)


_Bounds = tuple[float, float, Literal["bootstrap", "t", "lemmas", "exact"]]


def _interval(evidence: _Evidence, level: float) -> Interval:
    found = evidence.moments
    candidates = _candidates(evidence, level)
    error = None if found.variance is None else math.sqrt(found.variance)
    if not candidates:
        return Interval(found.mean, None, None, None, "none", found.seeds, found.lemmas, found.items, level)
    low = max(evidence.limits[0], min(one[0] for one in candidates))
    high = min(evidence.limits[1], max(one[1] for one in candidates))
    method = max(candidates, key=lambda one: one[1] - one[0])[2]
    return Interval(found.mean, low, high, error, method, found.seeds, found.lemmas, found.items, level, found.freedom)


def _candidates(evidence: _Evidence, level: float) -> list[_Bounds]:
    """Bounds by each method that applies; none with a single lemma or without any variance."""
    found = evidence.moments
    if found.variance is None:
        return []
    candidates: list[_Bounds] = []
    if found.variance > NEGLIGIBLE:
        both = found.has_seed_variance
        candidates.append((*_t_bounds(evidence, level), "t" if both else "lemmas"))
        if both:
            candidates.append((*bootstrap_bounds(evidence.draws, level), "bootstrap"))
    if evidence.few is not None:
        error = (1 - level) / 2
        candidates.append((evidence.few.low(error), evidence.few.high(error), "exact"))
    return candidates


def _t_bounds(evidence: _Evidence, level: float) -> tuple[float, float]:
    found, deviation = evidence.moments, _deviation(evidence)
    half = float(stdtrit(found.freedom, (1 + level) / 2)) * deviation
    if not evidence.is_share:
        return found.mean - half, found.mean + half
    middle = float(logit(found.mean))
    return float(expit(middle - half)), float(expit(middle + half))


def _t(evidence: _Evidence, value: float) -> float:
    """Distance of the mean from ``value`` in standard errors."""
    mean = evidence.moments.mean
    if not evidence.is_share:
        return (mean - value) / _deviation(evidence)
    return (float(logit(mean)) - float(logit(min(1.0, max(0.0, value))))) / _deviation(evidence)


def _deviation(evidence: _Evidence) -> float:
    """Standard error; of a share that of its logit, whose distribution is less skewed near 0 and 1.

    Logit intervals of shares in clustered samples: Korn and Graubard, Survey Methodology 24, 1998.
    """
    found = evidence.moments
    error = math.sqrt(found.variance or 0.0)
    return error / (found.mean * (1 - found.mean)) if evidence.is_share else error


def _p(evidence: _Evidence, value: float, side: Side) -> float | None:
    found = evidence.moments
    if found.variance is None:
        return None
    greater, less = [], []
    if found.variance > NEGLIGIBLE:
        t = _t(evidence, value)
        greater.append(float(stdtr(found.freedom, -t)))
        less.append(float(stdtr(found.freedom, t)))
        if found.has_seed_variance:
            greater.append(bootstrap_p(evidence.draws, value, "greater"))
            less.append(bootstrap_p(evidence.draws, value, "less"))
    if evidence.few is not None:
        greater.append(evidence.few.p_greater(value))
        less.append(evidence.few.p_less(value))
    if not greater:
        return None
    return _of_side(max(greater), max(less), side)


def _of_side(greater: float, less: float, side: Side) -> float:
    if side == "two-sided":
        return min(1.0, 2 * min(greater, less))
    return greater if side == "greater" else less
