"""Unit vectors of texts, looked up by text: what a model is, to the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.encoder.token_states import TokenStates
from engine.model.embed import embed_rows
from engine.model.sense_head import SenseHead


class TextVectors:
    """``matrix`` (texts, E) float64 with rows of unit length, in the order of ``texts``."""

    def __init__(self, texts: Sequence[str], matrix: NDArray[np.float64]) -> None:
        self.matrix = matrix
        self._rows = {text: row for row, text in enumerate(texts)}

    @classmethod
    def of_head(cls, head: SenseHead, states: TokenStates, texts: Sequence[str]) -> Self:
        """``texts`` as ``head`` embeds them, without dropout."""
        return cls._of(texts, embed_rows(head, states, states.rows(texts))[0])

    @classmethod
    def of_mean_pool(cls, mean_pool: Tensor, states: TokenStates, texts: Sequence[str]) -> Self:
        """``texts`` under frozen mean pooling, (table's texts, H)."""
        return cls._of(texts, mean_pool[states.rows(texts)])

    @classmethod
    def _of(cls, texts: Sequence[str], embedding: Tensor) -> Self:
        return cls(texts, embedding.detach().to("cpu", torch.float64).numpy())

    def similarities(self, query: str, others: Sequence[str]) -> NDArray[np.float64]:
        """Cosine of ``query`` with each of ``others``: (len(others),)."""
        rows = [self._rows[text] for text in others]
        similarities: NDArray[np.float64] = self.matrix[rows] @ self.matrix[self._rows[query]]
        return similarities
