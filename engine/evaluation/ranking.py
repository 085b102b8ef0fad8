"""Ranks the candidates of retrieval items and coherence steps by cosine similarity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.contract.experiment import SenseText
from engine.data.bundles.encoder_text import coherence_inputs, encoder_input_of, evaluation_inputs
from engine.data.evaluation.killers import Ranked, rank_candidates
from engine.data.records import CoherenceItem, CoherenceStep, Dataset, FrozenEvaluation, RetrievalItem
from engine.encoder.encoder_input import EncoderInput


class TextVectors:
    """Unit vectors of encoder inputs under one model.

    Args:
        inputs: in the order of the rows.
        embedding: (inputs, E).
        sense_text: as which glosses are among ``inputs``.
    """

    def __init__(self, inputs: Sequence[EncoderInput], embedding: Tensor, sense_text: SenseText) -> None:
        self.sense_text = sense_text
        self._matrix: NDArray[np.float64] = embedding.to("cpu", torch.float64).numpy()
        self._rows = {one: row for row, one in enumerate(inputs)}

    def similarities(self, query: EncoderInput, others: Sequence[EncoderInput]) -> NDArray[np.float64]:
        """Cosine of ``query`` with each of ``others``: (len(others),)."""
        rows = [self._rows[one] for one in others]
        # a sum for each pair, not a matrix product, which may round equal rows differently: the same text then ties exactly
        similarities: NDArray[np.float64] = (self._matrix[rows] * self._matrix[self._rows[query]]).sum(axis=1)
        return similarities


def rank_retrieval(items: Iterable[RetrievalItem], vectors: TextVectors) -> list[Ranked]:
    """Rank each item's candidate contexts by similarity to the query; right are those of the query's sense."""
    return [
        rank_candidates(
            vectors.similarities(
                encoder_input_of(item.query, vectors.sense_text),
                [encoder_input_of(one.event, vectors.sense_text) for one in item.candidates],
            ),
            np.array([candidate.right for candidate in item.candidates]),
        )
        for item in items
    ]


def rank_coherence(items: Iterable[CoherenceItem], vectors: TextVectors) -> list[Ranked]:
    """Rank at each step the item's glosses by similarity to the step's context; right is the one of the active sense."""
    return [
        rank_candidates(
            vectors.similarities(
                encoder_input_of(step.event, vectors.sense_text), coherence_inputs(item, vectors.sense_text)
            ),
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


def ranking_inputs(dataset: Dataset, sense_text: SenseText) -> list[EncoderInput]:
    """Everything that the ranking of ``dataset``'s evaluation items reads, once, sorted."""
    without_probes = FrozenEvaluation(dataset.retrieval, dataset.coherence, ())
    return sorted(set(evaluation_inputs(without_probes, sense_text)))
