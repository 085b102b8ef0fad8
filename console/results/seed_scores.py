"""One metric of one condition, seed by seed and item by item: what every statistic over runs is computed from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from console.results.load import LoadedRuns
from console.results.run_scores import HEAD, MEAN_POOL, RunScores
from console.results.statistics.estimates import Floats, Integers, SeedScores
from engine.contract.settings import RunId


def seed_scores(loaded: LoadedRuns, runs: Sequence[RunId], metric: str) -> SeedScores:
    """``metric`` of the heads of ``runs``, evaluated runs of one condition under one evaluation.

    Metrics are those of ``metrics.json``, ``margin``, the name of a tier for top-1 in it, and ``killers``. Items have the
    same order for all runs and models of the evaluation, ``metric_items`` says which they are.

    Raises:
        LookupError: a run was not evaluated or has no item of ``metric``.
        ValueError: there is no run, or they have different items.
    """
    scores = _of_one_evaluation(loaded, runs)
    values = [_values(one, HEAD, metric) for one in scores]
    return SeedScores(tuple(run.seed for run in runs), np.stack(values), _lemmas(scores[0], metric))


def baseline_scores(loaded: LoadedRuns, run: RunId, baseline: str, metric: str) -> SeedScores:
    """``metric`` of ``mean_pool``, ``word_overlap`` or ``random`` on the items of ``run``; as ``seed_scores``.

    ``random`` has the chance that a guess is right, and no margins.
    """
    scores = scores_of(loaded, run)
    values = _values(scores, baseline, metric)
    return SeedScores((run.seed,), values[np.newaxis], _lemmas(scores, metric), is_fixed=True)


def mean_pool_scores(loaded: LoadedRuns, runs: Sequence[RunId], metric: str) -> SeedScores:
    """``metric`` of frozen mean pooling of the states that the heads of ``runs`` read.

    It is fixed, unless pooling came out otherwise in some run, as on another device.
    """
    scores = _of_one_evaluation(loaded, runs)
    values = np.stack([_values(one, MEAN_POOL, metric) for one in scores])
    if bool((values == values[0]).all()):
        return SeedScores((runs[0].seed,), values[:1], _lemmas(scores[0], metric), is_fixed=True)
    return SeedScores(tuple(run.seed for run in runs), values, _lemmas(scores[0], metric))


def metric_names(loaded: LoadedRuns, run: RunId) -> tuple[str, ...]:
    """The metrics that ``run`` has items of: top-1, top-3, margin, coherence, the tiers that occur, killers."""
    return tuple(name for name, at in scores_of(loaded, run).positions.items() if len(at))


def metric_items(loaded: LoadedRuns, run: RunId, metric: str) -> pl.DataFrame:
    """``kind``, ``item_id``, ``lemma`` and ``tier`` of the items of ``metric``, in the order of the scores."""
    scores = scores_of(loaded, run)
    return scores.items[scores.positions[metric]]


def scores_of(loaded: LoadedRuns, run: RunId) -> RunScores:
    """The scores of one run by item.

    Raises:
        LookupError: it was not evaluated.
    """
    one = loaded.runs.get(run)
    if one is None or one.capsule is None:
        raise LookupError(f"{run.label} was not evaluated")
    return one.capsule.scores


def _of_one_evaluation(loaded: LoadedRuns, runs: Sequence[RunId]) -> list[RunScores]:
    scores = [scores_of(loaded, run) for run in runs]
    if len({one.evaluation for one in scores}) != 1:
        raise ValueError("runs with different items" if scores else "no run")
    return scores


def _values(scores: RunScores, model: str, metric: str) -> Floats:
    values = scores.values(model, metric)
    if values is None or not len(values):
        raise LookupError(f"no {metric} of {model}")
    return values


def _lemmas(scores: RunScores, metric: str) -> Integers:
    """(N,), lemmas of the metric's items, numbered from 0 without gaps."""
    numbers: Integers = np.unique(scores.lemmas[scores.positions[metric]], return_inverse=True)[1]
    return numbers
