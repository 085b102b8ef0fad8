"""Attention compared between conditions on the same probes: by measurement, with a test, and token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, get_args

import numpy as np
import polars as pl
from msgspec.structs import replace

from console.results.descriptions.load_training import Recordings
from console.results.descriptions.records import (
    AttentionComparison,
    AttentionMeasure,
    AttentionReport,
    ConditionAttention,
    ProbeAttention,
)
from console.results.descriptions.training_summary import seed_points
from console.results.statistics.estimates import Floats, SeedScores
from console.results.statistics.lemma_test import lemma_test
from console.results.statistics.multiplicity import benjamini_hochberg
from console.sanitize import sanitize_line
from engine.contract.settings import RunId

MEASURES: tuple[AttentionMeasure, ...] = get_args(AttentionMeasure)
MAX_PAIRED = 5
"""With more conditions than these, each is compared with the first alone."""
MAX_SHOWN, MAX_TOKENS = 3, 16
MAX_SIDE_BY_SIDE = 6
"""Conditions whose tokens are shown beside each other, the first ones."""


class EvaluatedAttention(NamedTuple):
    """Attention of the evaluated heads of one condition on the P probes that all its S seeds have.

    Attributes:
        probes: (P rows) ``item_id``, ``lemma`` and ``text``, by ``item_id``.
        values: (S, P) of each measure; NaN where it is not known.
        tokens: of each seed, texts and weights of the tokens of each probe.
    """

    seeds: tuple[int, ...]
    probes: pl.DataFrame
    values: dict[AttentionMeasure, Floats]
    tokens: tuple[tuple[list[list[str]], list[list[float]]], ...]


def attention_report(recordings: Recordings, runs: Sequence[RunId]) -> AttentionReport:
    """Attention of ``runs``, those that are counted; without any if none recorded it."""
    frames: dict[str, dict[int, pl.DataFrame]] = {}
    for run in runs:
        if (one := recordings.get(run)) is not None and one.attention is not None:
            frames.setdefault(run.condition, {})[run.seed] = one.attention
    evaluated = {name: found for name, of in frames.items() if (found := evaluated_attention(of)) is not None}
    conditions = tuple(_condition(name, frames[name], one) for name, one in evaluated.items())
    return AttentionReport(conditions, _compare(evaluated), shown_probes(evaluated))


def evaluated_attention(frames: Mapping[int, pl.DataFrame]) -> EvaluatedAttention | None:
    """Attention of one condition, from its frames by seed; None where its seeds have no probe in common."""
    chosen = [one.filter(pl.col("weights").is_not_null()).unique("item_id", keep="first") for one in frames.values()]
    probes = chosen[0].select("item_id", "lemma", "text").sort("item_id")
    for frame in chosen[1:]:
        probes = probes.join(frame, on=["item_id", "text"], how="semi", maintain_order="left")
    if probes.is_empty():
        return None
    aligned = [probes.select("item_id").join(one, on="item_id", how="left", maintain_order="left") for one in chosen]
    return EvaluatedAttention(
        tuple(frames),
        probes,
        {name: np.stack([one[name].fill_null(np.nan).to_numpy() for one in aligned]) for name in MEASURES},
        tuple((one["token_texts"].to_list(), one["weights"].to_list()) for one in aligned),
    )


def _condition(name: str, frames: Mapping[int, pl.DataFrame], evaluated: EvaluatedAttention) -> ConditionAttention:
    means = [
        frame.join(evaluated.probes, on="item_id", how="semi")
        .group_by("step", maintain_order=True)
        .agg(pl.col("epoch").first(), *(pl.col(measure).mean() for measure in MEASURES))
        .with_columns(place=(100 * pl.col("step") / max(1, frame["step"].to_list()[-1])).round().cast(pl.Int64))
        for frame in frames.values()
    ]
    entropy, lemma_mass, cue_mass = (
        seed_points(one.select("place", "epoch", measure).drop_nulls().rows() for one in means) for measure in MEASURES
    )
    at_end = {}
    for measure in MEASURES:
        # One place for all seeds, whichever measurement each was evaluated at.
        ends = [
            [(0, one.filter(pl.col("weights").is_not_null())["epoch"][0], float(np.nanmean(values)))]
            for one, values in zip(frames.values(), evaluated.values[measure], strict=True)
            if np.isfinite(values).any()
        ]
        if points := seed_points(ends):
            at_end[measure] = points[0]
    probes = evaluated.probes
    return ConditionAttention(
        name, evaluated.seeds, probes.height, probes["lemma"].n_unique(), entropy, lemma_mass, cue_mass, at_end
    )


def _compare(evaluated: Mapping[str, EvaluatedAttention]) -> tuple[AttentionComparison, ...]:
    names = list(evaluated)
    pairs = list(combinations(names, 2)) if len(names) <= MAX_PAIRED else [(names[0], one) for one in names[1:]]
    found = [one for theirs, ours in pairs for one in compare(ours, theirs, evaluated[ours], evaluated[theirs])]
    adjusted = iter(benjamini_hochberg([one.test.p for one in found if one.test.p is not None]))
    return tuple(one if one.test.p is None else replace(one, adjusted_p=next(adjusted)) for one in found)


def compare(
    ours: str, theirs: str, our_attention: EvaluatedAttention, their_attention: EvaluatedAttention
) -> list[AttentionComparison]:
    """Sign-flip tests over lemmas on the probes that both have; without a measure that no probe has in both."""
    both = our_attention.probes.with_row_index("ours").join(
        their_attention.probes.with_row_index("theirs").select("item_id", "text", "theirs"),
        on=["item_id", "text"],
        maintain_order="left",
    )
    lemmas = np.unique(both["lemma"].to_numpy().astype(str), return_inverse=True)[1]
    found = []
    for measure in MEASURES:
        our_values = our_attention.values[measure][:, both["ours"].to_numpy()]
        their_values = their_attention.values[measure][:, both["theirs"].to_numpy()]
        known = np.isfinite(np.concatenate([our_values, their_values])).all(axis=0)
        if known.any():
            test = lemma_test(
                SeedScores(our_attention.seeds, our_values[:, known], lemmas[known]),
                SeedScores(their_attention.seeds, their_values[:, known], lemmas[known]),
            )
            found.append(AttentionComparison(ours, theirs, measure, int(known.sum()), test))
    return found


def shown_probes(evaluated: Mapping[str, EvaluatedAttention]) -> tuple[ProbeAttention, ...]:
    """The probes of at most ``MAX_TOKENS`` tokens on which conditions differ most, the first most."""
    shown = dict(list(evaluated.items())[:MAX_SIDE_BY_SIDE])
    items = next(iter(shown.values())).probes["item_id"].to_list() if shown else []
    places = {
        name: {item: at for at, item in enumerate(one.probes["item_id"].to_list())} for name, one in shown.items()
    }
    common = [item for item in items if all(item in place for place in places.values())]
    probes = [probe_attention(shown, {name: place[item] for name, place in places.items()}) for item in common]
    probes = [one for one in probes if len(one.tokens) <= MAX_TOKENS]
    return tuple(sorted(probes, key=lambda one: (-_difference(one), one.item_id))[:MAX_SHOWN])


def _difference(probe: ProbeAttention) -> float:
    """Largest share of attention that two conditions place on other tokens (total variation distance)."""
    pairs = combinations(probe.weights.values(), 2)
    return max((sum(abs(a - b) for a, b in zip(one, two, strict=True)) / 2 for one, two in pairs), default=0.0)


def probe_attention(evaluated: Mapping[str, EvaluatedAttention], at: Mapping[str, int]) -> ProbeAttention:
    """One probe, that at row ``at`` of each condition, in the conditions whose tokens are those of the first."""
    name, first = next(iter(evaluated.items()))
    tokens = first.tokens[0][0][at[name]]
    weights = {
        name: [seed_weights[at[name]] for texts, seed_weights in one.tokens if texts[at[name]] == tokens]
        for name, one in evaluated.items()
    }
    item_id, lemma, text = (sanitize_line(value, limit=400) for value in first.probes.row(at[name]))
    return ProbeAttention(
        item_id,
        lemma,
        text,
        tuple(sanitize_line(token, limit=40) for token in tokens),
        {name: tuple(np.mean(of, axis=0).tolist()) for name, of in weights.items() if of},
        {name: len(of) for name, of in weights.items() if of},
    )
