"""The frozen evaluation of a trained head, with frozen mean pooling of the same states beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from engine.contract.items import ItemRow
from engine.contract.metrics import Scores
from engine.data.evaluation.killers import Ranked, reason_code
from engine.data.records import Dataset
from engine.encoder.token_states import TokenStates
from engine.evaluation import coherence, retrieval
from engine.evaluation.scores import scores
from engine.evaluation.text_vectors import TextVectors
from engine.model.sense_head import SenseHead


class Outcomes(NamedTuple):
    """One model's outcome on every retrieval item and every coherence step."""

    retrieval: list[Ranked]
    coherence: list[Ranked]


class Evaluated(NamedTuple):
    """The scores of head and mean pooling, and a row an item."""

    head: Scores
    mean_pool: Scores
    rows: list[ItemRow]


def evaluate(head: SenseHead, mean_pool: Tensor, states: TokenStates, dataset: Dataset) -> Evaluated:
    """Score ``head`` (no dropout) and ``mean_pool`` (table's texts, H) on the evaluation items of ``dataset``."""
    texts = sorted(retrieval.texts_of_retrieval(dataset.retrieval) | coherence.texts_of_coherence(dataset.coherence))
    ours = _outcomes(dataset, TextVectors.of_head(head, states, texts))
    theirs = _outcomes(dataset, TextVectors.of_mean_pool(mean_pool, states, texts))
    rows = [*_retrieval_rows(dataset, ours, theirs), *_coherence_rows(dataset, ours, theirs)]
    tiers = [item.tier for item in dataset.retrieval]
    return Evaluated(
        scores(ours.retrieval, tiers, ours.coherence), scores(theirs.retrieval, tiers, theirs.coherence), rows
    )


def _outcomes(dataset: Dataset, vectors: TextVectors) -> Outcomes:
    return Outcomes(
        retrieval.rank_retrieval(dataset.retrieval, vectors), coherence.rank_coherence(dataset.coherence, vectors)
    )


def _retrieval_rows(dataset: Dataset, ours: Outcomes, theirs: Outcomes) -> Iterator[ItemRow]:
    for item, mine, other in zip(dataset.retrieval, ours.retrieval, theirs.retrieval, strict=True):
        yield ItemRow(
            kind="retrieval",
            item_id=item.item_id,
            lemma=item.lemma,
            tier=item.tier,
            source=item.query.source,
            candidates=len(item.candidates),
            rank=mine.rank,
            correct_at_1=mine.rank == 1,
            correct_at_3=mine.rank <= 3,
            margin=mine.margin,
            reason=reason_code(item, mine) or "",
            mean_pool_rank=other.rank,
            mean_pool_margin=other.margin,
            query=item.query.text,
            answer=item.candidates[mine.answer].event.text,
            chosen=item.candidates[mine.chosen].event.text,
        )


def _coherence_rows(dataset: Dataset, ours: Outcomes, theirs: Outcomes) -> Iterator[ItemRow]:
    steps = coherence.steps_of(dataset.coherence)
    for (item, place, step), mine, other in zip(steps, ours.coherence, theirs.coherence, strict=True):
        yield ItemRow(
            kind="coherence",
            item_id=f"{item.item_id}:{place}",
            lemma=item.lemma,
            tier="",
            source=step.event.source,
            candidates=len(item.glosses),
            rank=mine.rank,
            correct_at_1=mine.rank == 1,
            correct_at_3=mine.rank <= 3,
            margin=mine.margin,
            reason="",
            mean_pool_rank=other.rank,
            mean_pool_margin=other.margin,
            query=step.event.text,
            answer=item.glosses[mine.answer],
            chosen=item.glosses[mine.chosen],
        )
