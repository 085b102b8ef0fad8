"""Scores of two conditions by the source of the evaluation items: examples, glosses, or synthetic contexts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from console.results.load import LoadedRuns
from console.results.statistics.crossed import bootstrap_means, difference_interval
from console.results.statistics.estimates import Interval, SeedScores
from engine.contract.settings import RunId

_KEY = ("kind", "item_id", "step", "query")
_DRAWS = 2_000  # evidence for a person, not the verdict


class SourceDifference(NamedTuple):
    """Share of right answers, ours minus theirs, on the ``items`` of one source."""

    items: int
    interval: Interval


def source_differences(
    loaded: LoadedRuns, ours: Sequence[RunId], theirs: Sequence[RunId]
) -> dict[str, SourceDifference]:
    """The difference on the items of each source, retrieval items and coherence steps alike; empty without common items."""
    names = {run.condition for run in (*ours, *theirs)}
    items = loaded.items.filter(pl.col("condition").is_in(names)).sort(*_KEY, maintain_order=True)
    found: dict[str, SourceDifference] = {}
    for source in sorted(set(items["source"])):
        of_source = items.filter(pl.col("source") == source)
        scores = [_scores(of_source, runs) for runs in (ours, theirs)]
        if scores[0] is None or scores[1] is None or scores[0].values.shape[1] != scores[1].values.shape[1]:
            return {}
        draws = bootstrap_means({"ours": scores[0], "theirs": scores[1]}, _DRAWS)
        interval = difference_interval(scores[0], scores[1], draws["ours"], draws["theirs"])
        found[source] = SourceDifference(scores[0].values.shape[1], interval)
    return found


def _scores(items: pl.DataFrame, runs: Sequence[RunId]) -> SeedScores | None:
    """Right or wrong for each of ``runs`` on ``items``, which are sorted; None unless all have the same items."""
    values, keys = [], None
    for run in runs:
        own = items.filter((pl.col("condition") == run.condition) & (pl.col("seed") == run.seed))
        if keys is not None and own.select(_KEY).rows() != keys:
            return None
        keys = own.select(_KEY).rows()
        values.append(own["correct_at_1"].to_numpy().astype(np.float64))
    if not keys:
        return None
    lemmas = np.unique(own["lemma"].to_numpy().astype(str), return_inverse=True)[1]
    return SeedScores(tuple(run.seed for run in runs), np.stack(values), lemmas)
