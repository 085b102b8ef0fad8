"""What the encoder reads for an event or gloss, and the frozen embeddings of those texts, looked up by text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.data.records import Bundle, CoherenceItem, Dataset, FrozenEvaluation, UsageEvent


def encoder_text_of(event: UsageEvent) -> str:
    """The text that the encoder reads for ``event``; a gloss gets its lemma in front, as it does not contain it."""
    return gloss_encoder_text(event.lemma, event.text) if event.source == "gloss" else event.text


def gloss_encoder_text(lemma: str, gloss: str) -> str:
    """What the encoder reads for a gloss: ``lemma: gloss``."""
    # a gloss does not name its word; on development lemmas, naming it gained mean pooling four points of coherence
    return f"{lemma}: {gloss}"


def gloss_encoder_texts(item: CoherenceItem) -> list[str]:
    """What the encoder reads for each gloss of a coherence item, in order."""
    return [gloss_encoder_text(item.lemma, gloss) for gloss in item.glosses]


def bundle_encoder_texts(bundles: Iterable[Bundle]) -> Iterator[str]:
    """What the encoder reads for each event of the bundles, with repetitions."""
    return (encoder_text_of(event) for bundle in bundles for event in bundle.events)


def evaluation_encoder_texts(evaluation: FrozenEvaluation) -> Iterator[str]:
    """What the encoder reads for each event and gloss of the evaluation, with repetitions."""
    yield from map(encoder_text_of, evaluation.events())
    for item in evaluation.coherence:
        yield from gloss_encoder_texts(item)


def encoder_texts_of(dataset: Dataset) -> tuple[str, ...]:
    """Every text that the encoder reads in a run over ``dataset``, once, sorted."""
    texts = {
        *bundle_encoder_texts((*dataset.train, *dataset.dev)),
        *evaluation_encoder_texts(dataset.evaluation),
        *(text for one in dataset.development for text in evaluation_encoder_texts(one.as_evaluation())),
    }
    return tuple(sorted(texts))


Embeddings = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Embeddings]
_BLOCK = 16_384  # pairs compared at once


class EmbeddedTexts:
    """Unique texts with L2-normalised embeddings: ``matrix`` of shape (texts, H), a row for each text."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._row: dict[str, int] = {}
        self.matrix: Embeddings = np.empty((0, 0), dtype=np.float32)

    def add(self, texts: Iterable[str]) -> None:
        """Embed the new ones of ``texts``, each once and in sorted order.

        Raises:
            ValueError: ``embed`` returned another number of rows than it was given texts.
        """
        new = sorted(set(texts) - self._row.keys())
        if not new:
            return
        matrix = np.asarray(self._embed(new), dtype=np.float32)
        if matrix.ndim != 2 or len(matrix) != len(new):
            raise ValueError(f"embed gave shape {matrix.shape} for {len(new)} texts")
        self._row.update((text, row) for row, text in enumerate(new, start=len(self._row)))
        self.matrix = np.concatenate((self.matrix, matrix)) if self.matrix.size else matrix

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

    def nearest(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """The greatest cosine of each text to any of its ``others``, shape (texts,).

        Raises:
            ValueError: a text has no others.
        """
        if not all(others):
            raise ValueError("every text needs at least one other text to compare with")
        return np.array([row.max() for row in self.to_each(texts, others)], dtype=np.float32)

    def to_each(self, texts: Sequence[str], others: Sequence[Sequence[str]]) -> list[NDArray[np.float32]]:
        """The cosines of each text to its ``others``, an array for each text."""
        repeated = [text for text, row in zip(texts, others, strict=True) for _ in row]
        similarities = self.similarities(repeated, [other for row in others for other in row])
        ends = np.cumsum([len(row) for row in others], dtype=np.int64)
        return np.split(similarities, ends)[:-1]
