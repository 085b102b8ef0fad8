"""Comparisons between conditions and with mean pooling: confirmatory, non-inferiority, exploratory; expected outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from msgspec.structs import replace

from console.results.analysis.condition_scores import ConditionScores, mean_pool_of
from console.results.analysis.records import (
    MEAN_POOL,
    Comparison,
    OutcomeReading,
    OutcomeResult,
    Reading,
    Role,
)
from console.results.run_scores import KILLERS
from console.results.statistics.estimates import Interval, PairedT
from console.results.statistics.lemma_test import lemma_test
from console.results.statistics.multiplicity import benjamini_hochberg, holm
from console.results.statistics.paired import mcnemar, paired_t, probability_greater
from console.results.statistics.variance import variance_shares, what_is_needed
from engine.contract.analysis_settings import AnalysisSettings, ExpectedOutcome

POOL_METRICS = ("retrieval_top1", "retrieval_top3", "coherence_accuracy", "margin")
"""Not tiers and killers: those are chosen by what mean pooling got right and wrong, so it has no fair score on them."""
MOST_CONDITIONS_IN_ALL_PAIRS = 4
MOST_WITH_ALL_TESTS = 200
"""Of more exploratory comparisons only the intervals are computed, on fewer metrics, so that they take seconds."""


class Question(NamedTuple):
    """A comparison to make: ``ours`` minus ``theirs`` on ``metric``."""

    ours: str
    theirs: str
    metric: str
    role: Role


def questions(
    settings: AnalysisSettings,
    pairs: Sequence[tuple[str, str]],
    conditions: tuple[str, ...],
    metrics: Sequence[str],
    derived: Mapping[str, str] | None = None,
) -> list[Question]:
    """All comparisons among ``conditions``: those of the plan first, then the exploratory ones.

    Args:
        pairs: the confirmatory ones, of the plan.
        derived: conditions made after results were read, each with its parent: all about them is exploratory.
    """
    parents = derived or {}
    planned = [one for one in conditions if one not in parents]
    found = [Question(*pair, settings.metric, "confirmatory") for pair in pairs]
    control = settings.control_of(tuple(planned))
    if control is not None:
        others = [one for one in planned if one != control]
        found += [
            Question(one, control, metric, "non-inferiority") for metric in settings.must_not_regress for one in others
        ]
    asked = {(*sorted((one.ours, one.theirs)), one.metric) for one in found}
    explored = [
        Question(ours, theirs, metric, "exploratory")
        for ours, theirs in _exploratory_pairs(pairs, conditions, control, parents)
        for metric in metrics
        if (*sorted((ours, theirs)), metric) not in asked
    ]
    explored += [
        Question(one, MEAN_POOL, metric, "exploratory")
        for one in conditions
        for metric in POOL_METRICS
        if metric in metrics
    ]
    if len(explored) > MOST_WITH_ALL_TESTS:
        explored = [one for one in explored if one.metric in POOL_METRICS[:3]]
    return found + explored


def _exploratory_pairs(
    pairs: Sequence[tuple[str, str]], conditions: tuple[str, ...], control: str | None, parents: Mapping[str, str]
) -> list[tuple[str, str]]:
    """All pairs of few conditions; of many, the confirmatory ones, and each with the control and with its parent."""
    if len(conditions) <= MOST_CONDITIONS_IN_ALL_PAIRS:
        found = [(later, earlier) for earlier, later in combinations(conditions, 2)]
    else:
        found = [*pairs, *((one, control) for one in conditions if control is not None and one != control)]
        found += [(one, parents[one]) for one in conditions if parents.get(one) in conditions]
    turned = {(theirs, ours): (ours, theirs) for ours, theirs in pairs}
    return list(dict.fromkeys(turned.get(pair, pair) for pair in found))


def compare(
    scores: ConditionScores, asked: Sequence[Question], settings: AnalysisSettings, level: float
) -> tuple[Comparison, ...]:
    """Answers to ``asked``, in their order, at the two-sided ``level``; one-sided tests have half of it."""
    has_all_tests = sum(one.role == "exploratory" for one in asked) <= MOST_WITH_ALL_TESTS
    found = [
        _compare(scores, one, settings, level, has_all_tests=has_all_tests or one.role != "exploratory")
        for one in asked
    ]
    found = _adjusted(found, "confirmatory", level)
    found = _adjusted(found, "exploratory", level)
    return tuple(_non_inferiority(scores, found, settings, level))


def _compare(
    scores: ConditionScores, asked: Question, settings: AnalysisSettings, level: float, *, has_all_tests: bool
) -> Comparison:
    ours, theirs, metric, role = asked
    model = mean_pool_of(ours) if theirs == MEAN_POOL else theirs
    interval = scores.difference(ours, model, metric, level)
    our, their = scores.scores(ours, metric), scores.scores(model, metric)
    if interval is None or our is None or their is None:
        return Comparison(ours, theirs, metric, role, "missing")
    comparison = Comparison(
        ours,
        theirs,
        metric,
        role,
        "identical" if scores.are_identical(ours, theirs) else "not told apart",
        recipe=interval,
        p=scores.difference_p(ours, model, metric),
        margin=settings.margin_points / 100 if role == "non-inferiority" else None,
        identical_seeds=scores.equal_runs(ours, theirs),
    )
    if has_all_tests:
        comparison = replace(
            comparison,
            models=lemma_test(our, their, level=1 - level),
            need=what_is_needed(interval, variance_shares(our, their), 0.0, level),
        )
    if theirs == MEAN_POOL:
        return comparison
    by_seed = [scores.seed_means(name, metric) for name in (ours, theirs)]
    return replace(
        comparison,
        probability=probability_greater(*(means.values() for means in by_seed)),
        paired_t=paired_t(*by_seed),
        mcnemar=mcnemar(our, their) if metric == KILLERS else None,
    )


def _adjusted(found: Sequence[Comparison], role: Role, level: float) -> list[Comparison]:
    """With the p of those with ``role`` adjusted over all of them, and read at ``level``."""
    tested = [at for at, one in enumerate(found) if one.role == role and one.p is not None]
    ps = [p for at in tested if (p := found[at].p) is not None]
    adjust, name = (holm, "Holm") if role == "confirmatory" else (benjamini_hochberg, "Benjamini-Hochberg")
    result = list(found)
    for at, p in zip(tested, adjust(ps), strict=True):
        one = replace(found[at], adjusted_p=p, adjustment=f"{name} over {len(ps)}")
        result[at] = replace(one, reading=_reading(one, p < level))
    if role == "confirmatory":
        _add_holm_of_t(result, list(tested))
    return result


def _add_holm_of_t(found: list[Comparison], at: Sequence[int]) -> None:
    tests = {place: test for place in at if (test := found[place].paired_t) is not None and test.p is not None}
    adjusted = holm([test.p for test in tests.values() if test.p is not None])
    for (place, test), p in zip(tests.items(), adjusted, strict=True):
        changed: PairedT = replace(test, holm_p=p)
        found[place] = replace(found[place], paired_t=changed)


def _reading(comparison: Comparison, is_significant: bool) -> Reading:
    if comparison.reading == "identical" or comparison.recipe is None:
        return comparison.reading
    return "not told apart" if not is_significant else "better" if comparison.recipe.mean > 0 else "worse"


def _non_inferiority(
    scores: ConditionScores, found: Sequence[Comparison], settings: AnalysisSettings, level: float
) -> Iterator[Comparison]:
    """Those of non-inferiority read: ``not worse`` is shown by the margin, ``worse`` by Holm over all of them."""
    asked = [one for one in found if one.role == "non-inferiority" and one.p is not None]
    adjusted = dict(zip(map(id, asked), holm([one.p for one in asked if one.p is not None]), strict=True))
    margin = settings.margin_points / 100
    for one in found:
        if id(one) not in adjusted or one.recipe is None:
            yield one
            continue
        p = scores.difference_p(one.ours, one.theirs, one.metric, -margin, "greater")
        reading: Reading = "undecided"
        if one.reading == "identical" or (p is not None and p < level / 2):
            reading = "identical" if one.reading == "identical" else "not worse"
        elif adjusted[id(one)] < level and one.recipe.mean < 0:
            reading = "worse"
        need = one.need
        pair = scores.scores(one.ours, one.metric), scores.scores(one.theirs, one.metric)
        if pair[0] is not None:
            need = what_is_needed(one.recipe, variance_shares(*(part for part in pair if part)), -margin, level)
        text = f"one-sided at {100 * level / 2:g}%, margin {settings.margin_points:g} points"
        yield replace(one, reading=reading, p=p, adjustment=text, need=need)


def outcome_results(
    scores: ConditionScores, expected: Sequence[tuple[str, ExpectedOutcome]], level: float
) -> tuple[OutcomeResult, ...]:
    """Expected outcomes, each compared with the interval of its condition, of coverage 1 - ``level``."""
    found = []
    for condition, outcome in expected:
        for one in outcome.expectations():
            if outcome.over is None:
                interval = scores.interval(condition, one.metric, level)
            else:
                interval = scores.difference(condition, outcome.over, one.metric, level)
            least, most = one.least / 100, None if one.most is None else one.most / 100
            reading = outcome_reading(interval, least, most)
            found.append(OutcomeResult(condition, outcome.over or "", one.metric, least, most, interval, reading))
    return tuple(found)


def outcome_reading(interval: Interval | None, least: float, most: float | None) -> OutcomeReading:
    """``met`` where at least ``least`` is shown, ``exceeded`` where more than ``most`` is, ``missed`` where less is."""
    if interval is None:
        return "missing"
    if interval.low is None or interval.high is None:
        return "undecided"
    if interval.high < least:
        return "missed"
    if most is not None and interval.low > most:
        return "exceeded"
    return "met" if interval.low >= least else "undecided"
