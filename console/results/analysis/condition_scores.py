"""Scores of an experiment's conditions and of mean pooling beside each, with bootstrap draws that all comparisons share."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import cached_property

from console.results.load import LoadedRuns
from console.results.run_scores import MEAN_POOL, RANDOM, WORD_OVERLAP
from console.results.seed_scores import baseline_scores, mean_pool_scores, metric_names, scores_of, seed_scores
from console.results.statistics.crossed import (
    bootstrap_means,
    difference_interval,
    difference_p,
    mean_interval,
    mean_p,
)
from console.results.statistics.estimates import Floats, Interval, SeedScores, Side
from engine.contract.settings import RunId

DRAWS = 10_000


def mean_pool_of(condition: str) -> str:
    """Name of frozen mean pooling of the states that the heads of ``condition`` read."""
    return f"{MEAN_POOL} of {condition}"


class ConditionScores:
    """Models of one evaluation: each condition with counted runs, by its name, and its ``mean_pool_of``.

    Of runs whose items are equal only the first is used: they are one observation.

    Args:
        counted: the runs of each condition; those without any are left out.
        draws: of the bootstrap.
    """

    def __init__(self, loaded: LoadedRuns, counted: Mapping[str, Sequence[RunId]], draws: int = DRAWS) -> None:
        self._loaded = loaded
        self._draws = draws
        self._runs: dict[str, tuple[RunId, ...]] = {}
        self._equal: dict[str, tuple[str, ...]] = {}
        self._scores: dict[tuple[str, str], SeedScores | None] = {}
        self._means: dict[str, dict[str, Floats]] = {}
        first: dict[str, RunId] = {}
        for condition, runs in counted.items():
            own: dict[str, RunId] = {}
            equal = []
            for run in runs:
                outcome = scores_of(loaded, run).outcome
                if (other := own.get(outcome) or first.get(outcome)) is not None:
                    equal.append(f"{run.label} = {other.label}")
                own.setdefault(outcome, run)
                first.setdefault(outcome, run)
            if own:
                self._runs[condition] = tuple(own.values())
                self._equal[condition] = tuple(equal)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions with counted runs."""
        return tuple(self._runs)

    @property
    def is_one_evaluation(self) -> bool:
        """Whether all runs have the same items; else nothing can be compared."""
        runs = [run for own in self._runs.values() for run in own]
        return len({scores_of(self._loaded, run).evaluation for run in runs}) <= 1

    def equal_runs(self, *conditions: str) -> tuple[str, ...]:
        """Runs of ``conditions`` whose items all equal those of another run, such as ``B/42 = A/42``."""
        return tuple(text for condition in conditions for text in self._equal.get(condition, ()))

    def are_identical(self, ours: str, theirs: str) -> bool:
        """Whether the two conditions are the same observations."""
        sides = [{scores_of(self._loaded, run).outcome for run in self._runs.get(name, ())} for name in (ours, theirs)]
        return bool(sides[0]) and sides[0] == sides[1]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that the evaluation has items of."""
        return metric_names(self._loaded, next(iter(self._runs.values()))[0]) if self._runs else ()

    def scores(self, model: str, metric: str) -> SeedScores | None:
        """Scores of a condition or its mean pooling; None without runs or items."""
        key = (model, metric)
        if key not in self._scores:
            self._scores[key] = self._read(model, metric)
        return self._scores[key]

    def _read(self, model: str, metric: str) -> SeedScores | None:
        condition = model.removeprefix(mean_pool_of(""))
        runs = self._runs.get(condition)
        if not runs or metric not in self.metrics:
            return None
        return (seed_scores if model == condition else mean_pool_scores)(self._loaded, runs, metric)

    def seed_means(self, model: str, metric: str) -> dict[int, float]:
        """Mean of each seed."""
        scores = self.scores(model, metric)
        if scores is None:
            return {}
        return {seed: _mean(row) for seed, row in zip(scores.seeds, scores.values, strict=True)}

    def baseline_mean(self, condition: str, baseline: str, metric: str) -> float | None:
        """Mean of ``word_overlap`` or ``random`` on the items of ``condition``."""
        try:
            return _mean(baseline_scores(self._loaded, self._runs[condition][0], baseline, metric).values[0])
        except LookupError:
            return None

    def chance(self, condition: str, metric: str) -> float | None:
        """Mean chance that a guess is right."""
        return self.baseline_mean(condition, RANDOM, metric)

    def word_overlap(self, condition: str, metric: str) -> float | None:
        """Mean score of word overlap."""
        return self.baseline_mean(condition, WORD_OVERLAP, metric)

    def ceiling(self, condition: str, metric: str) -> float | None:
        """Mean score of the best reader; None where the items do not tell."""
        scores = scores_of(self._loaded, self._runs[condition][0])
        best = scores.ceiling[scores.positions[metric]]
        is_told = metric == "coherence_accuracy" or bool((best < 1).any())
        return _mean(best) if is_told and len(best) else None

    def mean_pool(self, condition: str, metric: str) -> float | None:
        """Mean score of frozen mean pooling of the states that the condition's heads read."""
        scores = self.scores(mean_pool_of(condition), metric)
        return None if scores is None else statistics.fmean(map(_mean, scores.values))

    def interval(self, model: str, metric: str, level: float) -> Interval | None:
        """Interval of the mean of a model, at coverage 1 - ``level``."""
        scores = self.scores(model, metric)
        return None if scores is None else mean_interval(scores, self._drawn(metric)[model], 1 - level)

    def p(self, model: str, metric: str, value: float, side: Side) -> float | None:
        """p of the hypothesis that the mean of a model is ``value``."""
        scores = self.scores(model, metric)
        return None if scores is None else mean_p(scores, self._drawn(metric)[model], value, side)

    def difference(self, ours: str, theirs: str, metric: str, level: float) -> Interval | None:
        """Interval of ``ours`` minus ``theirs``, at coverage 1 - ``level``."""
        pair = self._pair(ours, theirs, metric)
        return None if pair is None else difference_interval(*pair, 1 - level)

    def difference_p(
        self, ours: str, theirs: str, metric: str, value: float = 0.0, side: Side = "two-sided"
    ) -> float | None:
        """p of the hypothesis that the difference is ``value``."""
        pair = self._pair(ours, theirs, metric)
        return None if pair is None else difference_p(*pair, value, side)

    def _pair(self, ours: str, theirs: str, metric: str) -> tuple[SeedScores, SeedScores, Floats, Floats] | None:
        our, their = self.scores(ours, metric), self.scores(theirs, metric)
        if our is None or their is None:
            return None
        means = self._drawn(metric)
        return our, their, means[ours], means[theirs]

    def _drawn(self, metric: str) -> dict[str, Floats]:
        """Bootstrap means of all models: lemmas are drawn once, so that each difference is paired."""
        if metric not in self._means:
            models = [*self._runs, *map(mean_pool_of, self._runs)]
            found = {model: scores for model in models if (scores := self.scores(model, metric)) is not None}
            self._means[metric] = bootstrap_means(found, self._draws)
        return self._means[metric]


def _mean(values: Floats) -> float:
    """Rounded once, so that anybody gets the same digits from the same items."""
    return math.fsum(values.tolist()) / len(values)
