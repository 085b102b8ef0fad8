"""What fails most: accuracy by tier, part of speech, senses, cue strength, item class and lemma, on killers, by reason code.

A group of items is held against the other items of its condition. What counts as failing most is the number of failures that
the group would not have at the others' rate, n (p - p'), of epidemiology the attributable cases (Levin, Acta Unio Internationalis
Contra Cancrum 9, 1953): it is large where a group is large and fails more, so that neither the tiniest group is named nor one
that merely has many items.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec.structs import replace
from scipy.special import stdtr  # type: ignore[import-untyped]

from console.format import counted
from console.results.descriptions.item_scores import KINDS, ItemScores, item_scores, with_same_items
from console.results.descriptions.records import NAMED_LEVEL, ConditionFailures, FailureGroup, KindFailures, ReasonCount
from console.results.load import LoadedRuns
from console.results.run_scores import KILLERS
from console.results.seed_scores import metric_items
from console.results.statistics.crossed import bootstrap_means, mean_interval
from console.results.statistics.estimates import Interval, SeedScores
from console.results.statistics.moments import NEGLIGIBLE, moments
from console.results.statistics.multiplicity import benjamini_hochberg
from console.sanitize import sanitize_line
from engine.contract.settings import RunId

DRAWS = 2000
"""Bootstrap draws for each group's interval: a description, not a decision. Of all items there are as many as decide."""
MIN_ITEMS, MIN_LEMMAS = 20, 10
"""A smaller group is shown with its interval, but is never said to fail most."""
MAX_GROUPS = 12
"""Values of one facet that are shown, those with the most items."""
MAX_LEMMAS = 5
HARDER = 0.05
"""Chance that is lower by more than this is said where a group fails most."""
UNKNOWN_REASON = "reason not saved"

Mask = npt.NDArray[np.bool_]
FACETS = ("tier", "item class", "part of speech", "senses", "cue strength", "source")


class _Group(NamedTuple):
    facet: str
    value: str
    where: Mask


def failure_modes(loaded: LoadedRuns, runs: Sequence[RunId]) -> tuple[ConditionFailures, ...]:
    """What fails most in each condition of ``runs``, evaluated runs that are counted."""
    found: dict[str, list[KindFailures]] = {}
    scores: dict[str, list[ItemScores]] = {}
    for kind in KINDS:
        of_kind = list(item_scores(loaded, runs, kind))
        for one in of_kind:
            scores.setdefault(one.condition, []).append(one)
        # Conditions with the same items share the draws of their intervals.
        for alike in with_same_items(of_kind):
            for one, failures in zip(alike, _kind_failures(alike), strict=True):
                found.setdefault(one.condition, []).append(failures)
    return tuple(_condition(loaded, scores[name], tuple(kinds)) for name, kinds in found.items())


def _condition(loaded: LoadedRuns, scores: Sequence[ItemScores], kinds: tuple[KindFailures, ...]) -> ConditionFailures:
    first = scores[0]
    retrieval = next((one for one in scores if one.kind == "retrieval"), None)
    killers = killer_groups(retrieval, _killer_reasons(loaded, retrieval)) if retrieval is not None else ()
    reasons = reason_counts(retrieval) if retrieval is not None else ()
    done = ConditionFailures(first.condition, first.evaluation, first.seeds, kinds, killers, reasons)
    groups = [one for kind in kinds for one in kind.groups]
    return replace(done, summary=summary(done), tiers="" if retrieval is None else tier_summary(retrieval, groups))


def _kind_failures(alike: Sequence[ItemScores]) -> list[KindFailures]:
    """Of several conditions with the same items."""
    groups, unknown = facet_groups(alike[0])
    whole = _Group("", "all", np.ones(alike[0].items.height, dtype=bool))
    done = [[] for _ in alike]  # type: list[list[FailureGroup]]
    for group in (whole, *groups):
        for number, one in enumerate(_failure_groups(alike, group)):
            done[number].append(one)
    return [
        KindFailures(one.kind, first, _adjusted(rest), unknown, worst_lemmas(one))
        for one, (first, *rest) in zip(alike, done, strict=True)
    ]


def _failure_groups(alike: Sequence[ItemScores], group: _Group) -> Iterator[FailureGroup]:
    of_right = {one.condition: one.of_right(group.where) for one in alike}
    draws = bootstrap_means(of_right, DRAWS) if group.facet else bootstrap_means(of_right)
    for one in alike:
        yield _failure_group(one, group, mean_interval(of_right[one.condition], draws[one.condition]))


def _failure_group(scores: ItemScores, group: _Group, accuracy: Interval) -> FailureGroup:
    where, others = group.where, ~group.where
    items = int(where.sum())
    excess = 0.0
    if others.any():
        excess = items * float(scores.right[:, others].mean() - scores.right[:, where].mean())
    return FailureGroup(
        group.facet,
        group.value,
        items,
        accuracy.lemmas,
        accuracy,
        float(scores.mean_pool_right[where].mean()),
        float(scores.chance[where].mean()),
        items * float(1 - scores.right[:, where].mean()),
        excess,
        gap_p(scores.of_right(), where),
    )


def gap_p(scores: SeedScores, where: Mask) -> float | None:
    """Two-sided p that the mean of the items at which ``where`` (N,) holds is that of the others; None where not told.

    The difference of the two means is written as the mean over all items of their influence on it (Taylor linearization of
    a ratio: Woodruff, JASA 66, 1971), of which lemmas and seeds give the variance by moments. Of few lemmas on one side
    these know as little as so many degrees of freedom, or small groups would be named too often.
    """
    inside = int(where.sum())
    if inside in (0, len(where)):
        return None
    ours, theirs = (float(scores.values[:, part].mean()) for part in (where, ~where))
    weights = np.where(where, len(where) / inside, -len(where) / (len(where) - inside))
    centred = scores.values - np.where(where, ours, theirs)
    found = moments(scores._replace(values=weights * centred + (ours - theirs)))
    lemmas = min(len(np.unique(scores.lemmas[part])) for part in (where, ~where))
    if found.variance is None or found.variance <= NEGLIGIBLE or found.freedom is None or lemmas < 2:
        return None
    t = found.mean / math.sqrt(found.variance)
    return float(min(1.0, 2 * stdtr(min(found.freedom, lemmas - 1), -abs(t))))


def _adjusted(groups: Sequence[FailureGroup]) -> tuple[FailureGroup, ...]:
    ps = [one.p if one.items >= MIN_ITEMS and one.lemmas >= MIN_LEMMAS else None for one in groups]
    adjusted = iter(benjamini_hochberg([p for p in ps if p is not None]))
    return tuple(
        one if p is None else replace(one, adjusted_p=next(adjusted)) for one, p in zip(groups, ps, strict=True)
    )


def facet_groups(scores: ItemScores) -> tuple[list[_Group], tuple[str, ...]]:
    """The groups of each facet that parts the items, and the facets whose values are not known."""
    values: Mapping[str, list[str]] = {
        "tier": _texts(scores.items["tier"]),
        "item class": _texts(scores.items["item_class"]),
        "part of speech": _texts(scores.items["pos"]),
        "senses": [_senses(count) for count in scores.items["senses"].to_list()],
        "cue strength": [_cue_strength(value) for value in scores.items["cue_strength"].to_list()],
        "source": _texts(scores.items["source"]),
    }
    groups: list[_Group] = []
    unknown: list[str] = []
    for facet in FACETS:
        counts = Counter(values[facet])
        if set(counts) == {""} and not (facet == "tier" and scores.kind == "coherence"):
            unknown.append(facet)
        if len(counts) < 2:
            continue  # all items are alike in it
        array = np.array(values[facet], dtype=object)
        shown = sorted(value for value, _ in counts.most_common(MAX_GROUPS))
        groups += [_Group(facet, value or "unknown", array == value) for value in sorted(shown, key=_natural)]
    return groups, tuple(unknown)


def _texts(column: pl.Series) -> list[str]:
    return [sanitize_line(value, limit=40) for value in column.to_list()]


def _senses(count: int) -> str:
    return str(count) if count < 5 else "5 to 6" if count < 7 else "7 to 9" if count < 10 else "10 or more"


def _cue_strength(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ""
    return "weak (below 1/3)" if value < 1 / 3 else "medium" if value < 2 / 3 else "strong (from 2/3)"


def _natural(value: str) -> tuple[int, int, str]:
    """Numbers by size, before words; what is unknown last."""
    digits = value.split(" ", maxsplit=1)[0]
    order = {"weak (below 1/3)": 0, "medium": 1, "strong (from 2/3)": 2}
    return (2, 0, "") if not value else (0, int(digits), "") if digits.isdecimal() else (1, order.get(value, 0), value)


def worst_lemmas(scores: ItemScores) -> tuple[FailureGroup, ...]:
    """The lemmas with the most failures beyond the rate of the others; one lemma has no interval."""
    counts = np.bincount(scores.lemmas)
    right = np.bincount(scores.lemmas, weights=scores.right.mean(axis=0))
    others = len(scores.lemmas) - counts
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.where(others > 0, counts * ((right.sum() - right) / others - right / counts), 0.0)
    worst = [int(number) for number in np.argsort(-excess, kind="stable")[:MAX_LEMMAS] if excess[number] > 0]
    return tuple(_lemma_group(scores, number) for number in worst)


def _lemma_group(scores: ItemScores, number: int) -> FailureGroup:
    where = scores.lemmas == number
    items = int(where.sum())
    mean = float(scores.right[:, where].mean())
    accuracy = Interval(mean, None, None, None, "none", len(scores.seeds), 1, items)
    name = sanitize_line(scores.items["lemma"][int(np.flatnonzero(where)[0])], limit=40)
    return replace(_failure_group(scores, _Group("lemma", name, where), accuracy), p=None)


def _killer_reasons(loaded: LoadedRuns, scores: ItemScores) -> list[str]:
    """Reason code of each item that is in the frozen killer set, "" of the others; of older runs the code is not known."""
    column = scores.items["killer"]
    if not column.null_count():
        return _texts(column)
    try:
        known = metric_items(loaded, RunId(scores.condition, scores.seeds[0]), KILLERS)["item_id"]
    except LookupError:
        return [""] * scores.items.height
    killers = set(known.to_list())
    return [UNKNOWN_REASON if item in killers else "" for item in scores.items["item_id"].to_list()]


def killer_groups(scores: ItemScores, reasons: Sequence[str]) -> tuple[FailureGroup, ...]:
    """Accuracy on the frozen killer set, all of it first, then by reason code with the most items first.

    Args:
        reasons: of each item; "" outside the set.
    """
    array = np.array(reasons, dtype=object)
    counts = Counter(reason for reason in reasons if reason)
    if not counts:
        return ()
    groups = [_Group("killers", "all killers", array != "")]
    if set(counts) != {UNKNOWN_REASON}:
        ordered = sorted(counts, key=lambda reason: (-counts[reason], reason))
        groups += [_Group("killers", reason, array == reason) for reason in ordered]
    return tuple(one for group in groups for one in _failure_groups([scores], group))


def reason_counts(scores: ItemScores) -> tuple[ReasonCount, ...]:
    """How many items the heads fail badly, by reason code, most frequent first."""
    per_seed = [Counter(sanitize_line(reason, limit=40) for reason in seed if reason) for seed in scores.reasons]
    reasons = sorted({reason for one in per_seed for reason in one})
    found = []
    for reason in reasons:
        counts = [one[reason] for one in per_seed]
        sd = statistics.stdev(counts) if len(counts) > 1 else None
        found.append(ReasonCount(reason, statistics.fmean(counts), sd, len(counts)))
    return tuple(sorted(found, key=lambda one: (-one.mean, one.reason)))


def summary(failures: ConditionFailures) -> str:
    """What fails most in the condition, in one sentence."""
    return "; ".join(_kind_summary(one) for one in failures.kinds) + "."


_PHRASES = {
    "tier": "{}",
    "item class": "item class {}",
    "part of speech": "part of speech {}",
    "senses": "items of {} senses",
    "cue strength": "items of {} cue strength",
    "source": "source {}",
}


def _kind_summary(failures: KindFailures) -> str:
    units = {"retrieval": "retrieval items", "coherence": "coherence steps"}[failures.kind]
    overall, worst = failures.overall, failures.worst
    total = f"{overall.failed:.0f} of {overall.items:,} {units} fail"
    if not overall.failed:
        return f"none of {overall.items:,} {units} fails"
    if worst is None:
        return f"{total}, in no group of them more than in the others beyond noise"
    harder = ""
    if worst.chance < overall.chance - HARDER:
        harder = f"; guessing is harder there, {100 * worst.chance:.0f}% against {100 * overall.chance:.0f}%"
    return (
        f"{total}, most in {_PHRASES[worst.facet].format(worst.value)} ({worst.failed:.0f} of {worst.items:,}, "
        f"{worst.excess:.0f} more than at the others' rate{harder})"
    )


def tier_summary(scores: ItemScores, groups: Sequence[FailureGroup]) -> str:
    """Which tier fails most and which others are not told apart from it, in one sentence; "" without tiers."""
    tiers = sorted((one for one in groups if one.facet == "tier"), key=lambda one: (one.accuracy.mean, -one.items))
    if not tiers:
        return ""
    worst, *others = tiers
    alike = [one for one in others if not _is_told_apart(scores, worst, one)]
    text = f"Tiers: {_tier_text(worst)} fails most"
    if alike:
        text += f", not told apart from {' and '.join(map(_tier_text, alike))}"
    if not any(one.mean_pool for one in (worst, *alike)):
        text += "; frozen mean pooling, by which tiers are made, has none of them right"
    return text + "."


def _tier_text(tier: FailureGroup) -> str:
    right, high = tier.items - tier.failed, tier.accuracy.high
    most = "" if high is None else f", at most {100 * high:.0f}%"
    return f"{tier.value} ({right:.0f} of {counted(tier.items, 'item')} right{most}; {counted(tier.lemmas, 'lemma')})"


def _is_told_apart(scores: ItemScores, worst: FailureGroup, other: FailureGroup) -> bool:
    """Whether two tiers differ: where one has no right item its variance says nothing, but its bound does."""
    tiers = np.array(_texts(scores.items["tier"]), dtype=object)
    both = np.isin(tiers, (worst.value, other.value))
    p = gap_p(scores.of_right(both), tiers[both] == worst.value)
    high = worst.accuracy.high
    return p is not None and p < NAMED_LEVEL and high is not None and high < other.accuracy.mean
