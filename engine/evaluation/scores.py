"""Scores of a model from the rows of its items: plain arithmetic that anybody can repeat on ``items.parquet``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.contract.experiment import TIERS
from engine.contract.items import ItemRow, chance_in_top
from engine.contract.metrics import Estimate, Informativeness, Margins, Scores, TierScore
from engine.evaluation.intervals import clustered_mean, paired_difference
from engine.evaluation.item_classes import COHERENCE_CLASSES, INFORMATIVE, PLACEHOLDER, RETRIEVAL_CLASSES

METRICS = ("retrieval_top1", "retrieval_top3", "coherence_accuracy", "transition_accuracy", "final_state_accuracy")
"""The headline scores, in the order of tables."""


class Results(NamedTuple):
    """How one model did on each of the rows.

    top1, top3: 1.0 where the best right candidate is among the first one or three, else 0.0; guessing has expectations.
    margins: best right minus best wrong similarity; None for guessing, which has no similarities.
    """

    top1: list[float]
    top3: list[float]
    margins: list[float] | None


class Values(NamedTuple):
    """One score's value for each of the items that it is the mean of, and the lemma of each."""

    values: list[float]
    lemmas: list[str]


def ranked_results(ranks: Sequence[int], margins: Sequence[float]) -> Results:
    """Results of a model that ranks the best right candidate of each row at ``ranks``, from 1."""
    return Results([float(rank == 1) for rank in ranks], [float(rank <= 3) for rank in ranks], list(margins))


def guessing_results(rows: Sequence[ItemRow]) -> Results:
    """The exact expectation of a model that ranks the candidates of each row at random; it has no margins."""
    top1, top3 = ([chance_in_top(row.candidates, sum(row.right), top) for row in rows] for top in (1, 3))
    return Results(top1, top3, None)


def model_scores(rows: Sequence[ItemRow], results: Results) -> Scores:
    """The scores of a model with ``results`` on ``rows``; a score without any item is NaN or None and has no interval."""
    is_exact = results.margins is None
    intervals = {
        name: _estimate(values, is_exact) for name, values in metric_values(rows, results).items() if values.values
    }

    def mean(name: str) -> float | None:
        return intervals[name].mean if name in intervals else None

    retrieval = [at for at, row in enumerate(rows) if row.kind == "retrieval"]
    return Scores(
        margins=_margins([results.margins[at] for at in retrieval]) if results.margins and retrieval else None,
        tiers=dict(_tiers(rows, results)),
        intervals=intervals,
        classes={name: _estimate(values, is_exact) for name, values in _class_values(rows, results) if values.values},
        # the evaluation of a run has items of all three, so NaN is never in a metrics.json, which could not hold it
        retrieval_top1=_or_nan(mean("retrieval_top1")),
        retrieval_top3=_or_nan(mean("retrieval_top3")),
        coherence_accuracy=_or_nan(mean("coherence_accuracy")),
        transition_accuracy=mean("transition_accuracy"),
        final_state_accuracy=mean("final_state_accuracy"),
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def gains_over(rows: Sequence[ItemRow], ours: Results, theirs: Results) -> dict[str, Estimate]:
    """The scores of one model minus those of another on the same items, by name."""
    pairs = zip(metric_values(rows, ours).items(), metric_values(rows, theirs).values(), strict=True)
    return {
        name: paired_difference([our.values], [their.values], our.lemmas) for (name, our), their in pairs if our.values
    }


def metric_values(rows: Sequence[ItemRow], results: Results) -> dict[str, Values]:
    """The values behind each of ``METRICS``; ``rows`` has the steps of a coherence item one after another."""
    found = {name: Values([], []) for name in METRICS}

    def add(name: str, value: float, row: ItemRow) -> None:
        found[name].values.append(value)
        found[name].lemmas.append(row.lemma)

    for at, row in enumerate(rows):
        if row.kind == "retrieval":
            add("retrieval_top1", results.top1[at], row)
            add("retrieval_top3", results.top3[at], row)
            continue
        add("coherence_accuracy", results.top1[at], row)
        if row.step > 1 and row.right != rows[at - 1].right:  # the sense shifts
            add("transition_accuracy", results.top1[at - 1] * results.top1[at], row)
        if row.step == row.steps:
            add("final_state_accuracy", results.top1[at], row)
    return found


def informativeness(rows: Sequence[ItemRow]) -> Informativeness:
    """What the items of ``rows`` can tell; shares are NaN without a coherence step."""
    steps = [row for row in rows if row.kind == "coherence"]
    classes = [row.item_class for row in rows]
    shared = sum(row.best_expected < 1 for row in steps)
    by_class = {name: classes.count(name) for name in (*RETRIEVAL_CLASSES, *COHERENCE_CLASSES)}
    return Informativeness(
        retrieval_classes={name: by_class[name] for name in RETRIEVAL_CLASSES},
        coherence_classes={name: by_class[name] for name in COHERENCE_CLASSES},
        judged=by_class[INFORMATIVE] / len(steps) if steps else math.nan,
        coherence_ceiling=math.fsum(row.best_expected for row in steps) / len(steps) if steps else math.nan,
        shared_gloss_steps=shared,
        by_elimination_steps=sum(row.item_class == PLACEHOLDER and row.best_expected == 1 for row in steps),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of ``values`` lie, linear between the two nearest, as numpy's default."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def _margins(margins: Sequence[float]) -> Margins:
    return Margins(math.fsum(margins) / len(margins), percentile(margins, 0.05), percentile(margins, 0.95))


def _tiers(rows: Sequence[ItemRow], results: Results) -> Iterator[tuple[str, TierScore]]:
    for tier in TIERS:
        values = [results.top1[at] for at, row in enumerate(rows) if row.tier == tier]
        if values:
            yield tier, TierScore(len(values), math.fsum(values) / len(values))


def _class_values(rows: Sequence[ItemRow], results: Results) -> Iterator[tuple[str, Values]]:
    for name in (*RETRIEVAL_CLASSES, *COHERENCE_CLASSES):
        chosen = [at for at, row in enumerate(rows) if row.item_class == name]
        yield name, Values([results.top1[at] for at in chosen], [rows[at].lemma for at in chosen])


def _estimate(values: Values, is_exact: bool) -> Estimate:
    if is_exact:
        return Estimate(math.fsum(values.values) / len(values.values), len(values.values), len(set(values.lemmas)))
    return clustered_mean(values.values, values.lemmas)
