"""Ranks the candidates of retrieval items and coherence steps by cosine similarity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.bundles.encoder_text import encoder_text_of, gloss_encoder_texts
from engine.data.evaluation.killers import Ranked, rank_candidates
from engine.data.records import CoherenceItem, CoherenceStep, Dataset, RetrievalItem


class TextVectors:
    """Unit vectors of texts under one model, by text; ``embedding`` is (texts, E), a row per text, in their order."""

    def __init__(self, texts: Sequence[str], embedding: Tensor) -> None:
        self._matrix: NDArray[np.float64] = embedding.to("cpu", torch.float64).numpy()
        self._rows = {text: row for row, text in enumerate(texts)}

    def similarities(self, query: str, others: Sequence[str]) -> NDArray[np.float64]:
        """Cosine of ``query`` with each of ``others``: (len(others),)."""
        rows = [self._rows[text] for text in others]
        similarities: NDArray[np.float64] = self._matrix[rows] @ self._matrix[self._rows[query]]
        return similarities


def rank_retrieval(items: Iterable[RetrievalItem], vectors: TextVectors) -> list[Ranked]:
    """Rank each item's candidate contexts by similarity to the query; right are those of the query's sense."""
    return [
        rank_candidates(
            vectors.similarities(encoder_text_of(item.query), [encoder_text_of(one.event) for one in item.candidates]),
            np.array([candidate.right for candidate in item.candidates]),
        )
        for item in items
    ]


def rank_coherence(items: Iterable[CoherenceItem], vectors: TextVectors) -> list[Ranked]:
    """Rank at each step the item's glosses by similarity to the step's context; right is the one of the active sense."""
    return [
        rank_candidates(
            vectors.similarities(encoder_text_of(step.event), gloss_encoder_texts(item)),
            np.arange(len(item.glosses)) == step.sense,
        )
        for item, _, step in steps_of(items)
    ]


def rank_all(dataset: Dataset, vectors: TextVectors) -> list[Ranked]:
    """Rank every retrieval item and then every coherence step of ``dataset``'s evaluation."""
    return [*rank_retrieval(dataset.retrieval, vectors), *rank_coherence(dataset.coherence, vectors)]


def steps_of(items: Iterable[CoherenceItem]) -> Iterator[tuple[CoherenceItem, int, CoherenceStep]]:
    """All steps of all items in order, each with its item and its index in it."""
    for item in items:
        for index, step in enumerate(item.steps):
            yield item, index, step


def evaluation_texts(dataset: Dataset) -> list[str]:
    """Every text that the ranking of ``dataset``'s evaluation items reads, once, sorted."""
    texts = set()
    for item in dataset.retrieval:
        texts |= {encoder_text_of(item.query), *(encoder_text_of(candidate.event) for candidate in item.candidates)}
    for coherence_item in dataset.coherence:
        texts |= {*gloss_encoder_texts(coherence_item), *(encoder_text_of(step.event) for step in coherence_item.steps)}
    return sorted(texts)
