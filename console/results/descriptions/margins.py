"""Distribution of margins by condition: mean, 5% and 95% quantiles, and a histogram, beside frozen mean pooling."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

import numpy as np

from console.results.descriptions.item_scores import KINDS, ItemScores, item_scores, with_same_items
from console.results.descriptions.records import MarginDistribution, Quantile
from console.results.load import LoadedRuns
from console.results.statistics.crossed import bootstrap_means, mean_interval
from console.results.statistics.estimates import Floats
from engine.contract.settings import RunId

BINS = 20  # even, so that no bin holds margins of both signs
WITHIN = 0.99
"""Share of all margins that the histogram's axis holds; what lies outside counts in its first and last bin."""


def margin_distributions(loaded: LoadedRuns, runs: Sequence[RunId]) -> tuple[MarginDistribution, ...]:
    """Margins of each condition of ``runs`` (evaluated, counted): of retrieval items, then of coherence steps."""
    return tuple(one for kind in KINDS for one in _of_kind(tuple(item_scores(loaded, runs, kind))))


def _of_kind(conditions: Sequence[ItemScores]) -> Iterator[MarginDistribution]:
    if not conditions:
        return
    edges = bin_edges(np.concatenate([one.margins.ravel() for one in conditions]))
    # Conditions with the same items share the draws of their intervals.
    draws: dict[str, Floats] = {}
    for alike in with_same_items(conditions):
        draws |= bootstrap_means({one.condition: one.of_margins() for one in alike})
    for one in conditions:
        yield MarginDistribution(
            one.condition,
            one.kind,
            one.items.height,
            len(np.unique(one.lemmas)),
            mean_interval(one.of_margins(), draws[one.condition]),
            _quantile(one.margins, 0.05),
            _quantile(one.margins, 0.95),
            tuple(edges.tolist()),
            _counts(one.margins, edges),
            float(one.mean_pool_margins.mean()),
            _counts(one.mean_pool_margins[np.newaxis], edges),
        )


def bin_edges(margins: Floats) -> Floats:
    """(BINS + 1,) edges, even around 0, of a round width."""
    needed = max(float(np.quantile(np.abs(margins), WITHIN)), 1e-6) / (BINS // 2)
    step = 10.0 ** math.floor(math.log10(needed))
    width = next(step * factor for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * factor >= needed)
    return (np.arange(BINS + 1) - BINS // 2).astype(np.float64) * width


def _counts(margins: Floats, edges: Floats) -> tuple[float, ...]:
    """Items in each bin, mean over the rows; a margin of 0 is not above 0, so it counts below."""
    bins = np.clip(np.searchsorted(edges, margins, side="left") - 1, 0, len(edges) - 2)
    return tuple((np.bincount(bins.ravel(), minlength=len(edges) - 1) / len(margins)).tolist())


def _quantile(margins: Floats, share: float) -> Quantile:
    """Of each seed's margins, then over seeds: pooled ones would be those of no run."""
    values = [float(np.quantile(row, share)) for row in margins]
    return Quantile(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))
