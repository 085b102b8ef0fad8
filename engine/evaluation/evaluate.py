"""Scores a model on evaluation items beside the baselines: a row per item, and the scores that follow from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from engine.contract.items import ItemRow
from engine.contract.metrics import Estimate, Informativeness, Scores
from engine.data.evaluation.killers import Ranked, reason_code
from engine.data.records import POS_NAMES, CoherenceItem, Killer, RetrievalItem, UsageEvent
from engine.evaluation.item_classes import best_expected, coherence_class, retrieval_class
from engine.evaluation.scores import gains_over, guessing_results, informativeness, model_scores, ranked_results
from engine.evaluation.word_overlap import rank_coherence_by_overlap, rank_retrieval_by_overlap

RANDOM, WORD_OVERLAP = "random", "word_overlap"
"""Names of the baselines that need no encoder."""


class TextAttention(NamedTuple):
    """A text's tokens, special ones as ``<start>`` and ``<end>``, and the attention of a head on each."""

    tokens: list[str]
    weights: list[float]


class EvaluationResult(NamedTuple):
    """Scores of a model beside those of mean pooling and of the baselines, and the rows that they are computed from.

    Attributes:
        gains: the model's scores minus those of mean pooling.
        informativeness: what the items can tell.
        rows: one per retrieval item and coherence step.
    """

    head: Scores
    mean_pool: Scores
    baselines: dict[str, Scores]
    gains: dict[str, Estimate]
    informativeness: Informativeness
    rows: list[ItemRow]


def evaluate(
    retrieval: Sequence[RetrievalItem],
    coherence: Sequence[CoherenceItem],
    head: Sequence[Ranked],
    mean_pool: Sequence[Ranked],
    baselines: Mapping[str, Sequence[Ranked]],
    killers: Sequence[Killer] = (),
    attention: Sequence[TextAttention] | None = None,
) -> EvaluationResult:
    """Score rankings of the items, each of the retrieval items and then of the coherence steps, in their order.

    Args:
        head: the model's ranking.
        mean_pool: that of frozen mean pooling.
        baselines: those of further models, by name; guessing and word overlap are always added.
        killers: the frozen killer set.
        attention: the model's on each query; None where it has none.
    """
    by_overlap = overlap_rankings(retrieval, coherence)
    ranked = {WORD_OVERLAP: by_overlap, **baselines}
    reasons = {killer.item_id: killer.reason for killer in killers}
    queries = (*_retrieval_queries(retrieval, by_overlap, head, reasons), *_coherence_queries(coherence))
    by_row = zip(*ranked.values(), strict=True)
    attended = [TextAttention([], [])] * len(queries) if attention is None else attention
    rows = [_row(*outcome) for outcome in zip(queries, head, mean_pool, by_overlap, by_row, attended, strict=True)]
    ours, pooled = (ranked_results([one.rank for one in of], [one.margin for one in of]) for of in (head, mean_pool))
    scores = {RANDOM: model_scores(rows, guessing_results(rows))}
    for name, of in ranked.items():
        scores[name] = model_scores(rows, ranked_results([one.rank for one in of], [one.margin for one in of]))
    return EvaluationResult(
        head=model_scores(rows, ours),
        mean_pool=model_scores(rows, pooled),
        baselines=scores,
        gains=gains_over(rows, ours, pooled),
        informativeness=informativeness(rows),
        rows=rows,
    )


def overlap_rankings(retrieval: Sequence[RetrievalItem], coherence: Sequence[CoherenceItem]) -> list[Ranked]:
    """The ranking of every item and step by word overlap."""
    return [
        *map(rank_retrieval_by_overlap, retrieval),
        *(rank_coherence_by_overlap(item, step) for item in coherence for step in item.steps),
    ]


def killer_top1(rows: Iterable[ItemRow], killers: Sequence[Killer]) -> float | None:
    """The fraction of the frozen killer set that ``rows`` rank right; None if the set is empty."""
    ids = {killer.item_id for killer in killers}
    right = [row.rank == 1 for row in rows if row.kind == "retrieval" and row.item_id in ids]
    return sum(right) / len(right) if right else None


class _Query(NamedTuple):
    """What a row says of its item, whichever model ranks it."""

    kind: str
    item_id: str
    lemma: str
    tier: str
    reason: str
    event: UsageEvent
    candidates: Sequence[str]
    right: list[bool]
    sense_ids: Sequence[str]
    item_class: str
    step: int = 0
    steps: int = 0
    best_expected: float = 1.0
    cue_strength: float | None = None
    killer: str = ""


def _retrieval_queries(
    items: Sequence[RetrievalItem],
    by_overlap: Sequence[Ranked],
    head: Sequence[Ranked],
    killer_reasons: Mapping[str, str],
) -> Iterator[_Query]:
    for item, overlaps, ranked in zip(items, by_overlap, head, strict=False):
        yield _Query(
            kind="retrieval",
            item_id=item.item_id,
            lemma=item.lemma,
            tier=item.tier,
            reason=reason_code(item, ranked) or "",
            event=item.query,
            candidates=[candidate.event.text for candidate in item.candidates],
            right=[candidate.right for candidate in item.candidates],
            sense_ids=[candidate.event.sense_id for candidate in item.candidates],
            item_class=retrieval_class(overlaps),
            cue_strength=item.cue_strength,
            killer=killer_reasons.get(item.item_id, ""),
        )


def _coherence_queries(items: Sequence[CoherenceItem]) -> Iterator[_Query]:
    for item in items:
        for index, step in enumerate(item.steps):
            yield _Query(
                kind="coherence",
                item_id=f"{item.item_id}:{index}",
                lemma=item.lemma,
                tier="",
                reason="",
                event=step.event,
                candidates=item.glosses,
                right=[sense == step.sense for sense in range(len(item.glosses))],
                sense_ids=item.sense_ids,
                item_class=coherence_class(item, step),
                step=index + 1,
                steps=len(item.steps),
                best_expected=best_expected(item, step),
            )


def _row(
    query: _Query,
    ranked: Ranked,
    pooled: Ranked,
    by_overlap: Ranked,
    baselines: Sequence[Ranked],
    attention: TextAttention,
) -> ItemRow:
    overlaps = {
        is_right: max(value for value, one in zip(by_overlap.similarities, query.right, strict=True) if one is is_right)
        for is_right in (True, False)
    }
    return ItemRow(
        kind=query.kind,
        item_id=query.item_id,
        lemma=query.lemma,
        tier=query.tier,
        source=query.event.source,
        candidates=len(query.candidates),
        rank=ranked.rank,
        correct_at_1=ranked.rank == 1,
        correct_at_3=ranked.rank <= 3,
        margin=ranked.margin,
        reason=query.reason,
        mean_pool_rank=pooled.rank,
        mean_pool_margin=pooled.margin,
        query=query.event.text,
        answer=query.candidates[ranked.answer],
        chosen=query.candidates[ranked.chosen],
        pos=POS_NAMES[query.event.pos],
        senses=len(set(query.sense_ids)),
        step=query.step,
        steps=query.steps,
        item_class=query.item_class,
        best_expected=query.best_expected,
        overlap_right=overlaps[True],
        overlap_wrong=overlaps[False],
        similarities=list(ranked.similarities),
        right=query.right,
        mean_pool_similarities=list(pooled.similarities),
        baseline_ranks=[one.rank for one in baselines],
        baseline_margins=[one.margin for one in baselines],
        chosen_sense=query.sense_ids[ranked.chosen],
        cue_strength=query.cue_strength,
        killer=query.killer,
        candidate_texts=list(query.candidates),
        query_tokens=attention.tokens,
        query_weights=attention.weights,
    )
