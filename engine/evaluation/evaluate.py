"""Scores a model on the frozen evaluation, with frozen mean pooling beside it: a row per item, and scores from the ranks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from engine.contract.experiment import TIERS
from engine.contract.items import ItemRow
from engine.contract.metrics import Margins, Scores, TierScore
from engine.data.evaluation.killers import Ranked, reason_code
from engine.data.records import POS_NAMES, Dataset, Killer, UsageEvent
from engine.evaluation.ranking import TextVectors, rank_coherence, rank_retrieval, steps_of


class EvaluationResult(NamedTuple):
    """Scores of the model and of mean pooling, and a row per retrieval item and coherence step."""

    head: Scores
    mean_pool: Scores
    rows: list[ItemRow]


def evaluate(head: TextVectors, mean_pool: TextVectors, dataset: Dataset) -> EvaluationResult:
    """Score the vectors of a model and of mean pooling on the evaluation items of ``dataset``."""
    retrieval, mean_pool_retrieval = (rank_retrieval(dataset.retrieval, vectors) for vectors in (head, mean_pool))
    coherence, mean_pool_coherence = (rank_coherence(dataset.coherence, vectors) for vectors in (head, mean_pool))
    tiers = [item.tier for item in dataset.retrieval]
    return EvaluationResult(
        scores(retrieval, tiers, coherence),
        scores(mean_pool_retrieval, tiers, mean_pool_coherence),
        [
            *_retrieval_rows(dataset, retrieval, mean_pool_retrieval),
            *_coherence_rows(dataset, coherence, mean_pool_coherence),
        ],
    )


def scores(retrieval: Sequence[Ranked], tiers: Sequence[str], coherence: Sequence[Ranked]) -> Scores:
    """Scores of one model from its ranks: ``retrieval`` per item, with its ``tiers``, and ``coherence`` per step."""
    ranks = np.array([ranked.rank for ranked in retrieval])
    margins = np.array([ranked.margin for ranked in retrieval])
    tier_of = np.array(tiers)
    return Scores(
        retrieval_top1=float(np.mean(ranks == 1)),
        retrieval_top3=float(np.mean(ranks <= 3)),
        coherence_accuracy=float(np.mean([ranked.rank == 1 for ranked in coherence])),
        margins=Margins(float(margins.mean()), float(np.percentile(margins, 5)), float(np.percentile(margins, 95))),
        tiers={
            tier: TierScore(int(np.sum(tier_of == tier)), float(np.mean(ranks[tier_of == tier] == 1)))
            for tier in TIERS
            if np.any(tier_of == tier)
        },
    )


def killer_top1(rows: Iterable[ItemRow], killers: Sequence[Killer]) -> float | None:
    """The fraction of the frozen killer set that ``rows`` rank right; None if the set is empty."""
    ids = {killer.item_id for killer in killers}
    right = [row.correct_at_1 for row in rows if row.kind == "retrieval" and row.item_id in ids]
    return sum(right) / len(right) if right else None


def _retrieval_rows(dataset: Dataset, head: list[Ranked], mean_pool: list[Ranked]) -> Iterator[ItemRow]:
    for item, ranked, baseline in zip(dataset.retrieval, head, mean_pool, strict=True):
        candidates = _Candidates(
            [candidate.event.text for candidate in item.candidates],
            [candidate.right for candidate in item.candidates],
            [candidate.event.sense_id for candidate in item.candidates],
        )
        reason = reason_code(item, ranked) or ""
        yield _row("retrieval", item.item_id, item.lemma, item.tier, reason, item.query, candidates, ranked, baseline)


def _coherence_rows(dataset: Dataset, head: list[Ranked], mean_pool: list[Ranked]) -> Iterator[ItemRow]:
    for (item, index, step), ranked, baseline in zip(steps_of(dataset.coherence), head, mean_pool, strict=True):
        item_id = f"{item.item_id}:{index}"
        right = [sense == step.sense for sense in range(len(item.glosses))]
        candidates = _Candidates(item.glosses, right, item.sense_ids)
        yield _row("coherence", item_id, item.lemma, "", "", step.event, candidates, ranked, baseline)


class _Candidates(NamedTuple):
    """Texts of a row's candidates, which are right, and their senses."""

    texts: Sequence[str]
    right: list[bool]
    sense_ids: Sequence[str]


def _row(
    kind: str,
    item_id: str,
    lemma: str,
    tier: str,
    reason: str,
    query: UsageEvent,
    candidates: _Candidates,
    ranked: Ranked,
    baseline: Ranked,
) -> ItemRow:
    return ItemRow(
        kind=kind,
        item_id=item_id,
        lemma=lemma,
        tier=tier,
        source=query.source,
        candidates=len(candidates.texts),
        rank=ranked.rank,
        correct_at_1=ranked.rank == 1,
        correct_at_3=ranked.rank <= 3,
        margin=ranked.margin,
        reason=reason,
        mean_pool_rank=baseline.rank,
        mean_pool_margin=baseline.margin,
        query=query.text,
        answer=candidates.texts[ranked.answer],
        chosen=candidates.texts[ranked.chosen],
        pos=POS_NAMES[query.pos],
        senses=len(set(candidates.sense_ids)),
        similarities=list(ranked.similarities),
        right=candidates.right,
        chosen_sense=candidates.sense_ids[ranked.chosen],
    )
