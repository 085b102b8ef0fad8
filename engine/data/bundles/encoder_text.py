"""Unique texts with their frozen embeddings, looked up by text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.data.dataset_files import events_of_dataset
from engine.data.records import CoherenceItem, Dataset, UsageEvent


def encoder_text_of(event: UsageEvent) -> str:
    """The text that stands for ``event`` before the encoder; its span is of the event's own text."""
    return definition(event.lemma, event.text) if event.source == "gloss" else event.text


def definition(lemma: str, gloss: str) -> str:
    return f"{lemma}: {gloss}"


def definitions_of(item: CoherenceItem) -> list[str]:
    """The readings of an item's glosses, in their order."""
    return [definition(item.lemma, gloss) for gloss in item.glosses]


def encoder_texts_of(dataset: Dataset) -> tuple[str, ...]:
    """Every text that a run over ``dataset`` reads, once, sorted."""
    glosses = (text for item in dataset.coherence for text in definitions_of(item))
    return tuple(sorted({*map(encoder_text_of, events_of_dataset(dataset)), *glosses}))


Embeddings = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Embeddings]


class EmbeddedTexts:
    """Texts and their L2-normalised embeddings, ``matrix`` of shape (texts, H)."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._row: dict[str, int] = {}
        self.matrix: Embeddings = np.empty((0, 0), dtype=np.float32)

    def add(self, texts: Iterable[str]) -> None:
        """Embed those of ``texts`` that are new, each once and in sorted order.

        Raises:
            ValueError: ``embed`` gave another number of rows than it was given texts.
        """
        new = sorted(set(texts) - self._row.keys())
        if not new:
            return
        matrix = np.asarray(self._embed(new), dtype=np.float32)
        if matrix.ndim != 2 or len(matrix) != len(new):
            raise ValueError(f"embed gave shape {matrix.shape} for {len(new)} texts")
        self._row.update((text, row) for row, text in enumerate(new, start=len(self._row)))
        self.matrix = np.concatenate((self.matrix, matrix)) if self.matrix.size else matrix

    def __len__(self) -> int:
        return len(self._row)

    def rows(self, texts: Iterable[str]) -> NDArray[np.int64]:
        """The rows of ``texts`` in ``matrix``, shape (texts,)."""
        return np.fromiter((self._row[text] for text in texts), dtype=np.int64)

    def similarities(self, left: Sequence[str], right: Sequence[str]) -> NDArray[np.float32]:
        """Cosine of each pair ``(left[i], right[i])``, shape (pairs,); in blocks, so memory stays bounded."""
        rows_left, rows_right = self.rows(left), self.rows(right)
        result = np.empty(len(rows_left), dtype=np.float32)
        for start in range(0, len(result), _BLOCK):
            part = slice(start, start + _BLOCK)
            np.einsum("ij,ij->i", self.matrix[rows_left[part]], self.matrix[rows_right[part]], out=result[part])
        return result


_BLOCK = 16_384
