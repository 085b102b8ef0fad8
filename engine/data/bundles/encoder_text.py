"""What the encoder reads for an event or gloss, and the frozen embeddings of those texts, looked up by text.

The data build reads a gloss as ``lemma: gloss`` (``encoder_text_of``), so that no run changes the data; a run reads it
as its ``sense_text`` says (``encoder_input_of``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.contract.experiment import SenseText
from engine.data.records import FULL_POS_NAMES, Bundle, CoherenceItem, Dataset, FrozenEvaluation, Pos, UsageEvent
from engine.encoder.encoder_input import EncoderInput


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


def encoder_input_of(event: UsageEvent, sense_text: SenseText) -> EncoderInput:
    """What a run's encoder reads for ``event``."""
    if event.source == "gloss":
        return gloss_encoder_input(event.lemma, event.pos, event.text, sense_text)
    return EncoderInput(event.text, event.start, event.end)


def gloss_encoder_input(lemma: str, pos: Pos, gloss: str, sense_text: SenseText) -> EncoderInput:
    """What a run's encoder reads for a sense; the target word is the lemma in front, if it is there."""
    match sense_text:
        case "gloss":
            return EncoderInput(gloss, is_gloss=True)
        case "lemma: gloss":
            return EncoderInput(gloss_encoder_text(lemma, gloss), 0, len(lemma), is_gloss=True)
        case "lemma (pos): gloss":
            return EncoderInput(f"{lemma} ({FULL_POS_NAMES[pos]}): {gloss}", 0, len(lemma), is_gloss=True)


def coherence_inputs(item: CoherenceItem, sense_text: SenseText) -> list[EncoderInput]:
    """What a run's encoder reads for each gloss of a coherence item, in order."""
    by_sense = {step.sense: step.event.pos for step in item.steps}
    # a sense without a step, of a user's file, has the part of speech of the first
    pos = item.steps[0].event.pos
    return [
        gloss_encoder_input(item.lemma, by_sense.get(index, pos), gloss, sense_text)
        for index, gloss in enumerate(item.glosses)
    ]


def evaluation_inputs(evaluation: FrozenEvaluation, sense_text: SenseText) -> Iterator[EncoderInput]:
    """What a run's encoder reads for each event and gloss of the evaluation, with repetitions."""
    yield from (encoder_input_of(event, sense_text) for event in evaluation.events())
    for item in evaluation.coherence:
        yield from coherence_inputs(item, sense_text)


def encoder_inputs_of(dataset: Dataset, sense_text: SenseText, *, glosses: bool) -> tuple[EncoderInput, ...]:
    """Everything that the encoder reads in a run over ``dataset``, once, sorted; cross-lemma negatives are not read.

    ``glosses``: also those that training may read beside the bundles.
    """
    bundles = (
        encoder_input_of(event, sense_text)
        for bundle in (*dataset.train, *dataset.dev)
        for event in (bundle.anchor, bundle.positive, *bundle.siblings)
    )
    senses = (encoder_input_of(event, sense_text) for event in (dataset.glosses if glosses else ()))
    items = (dataset.evaluation, *(one.as_evaluation() for one in dataset.development))
    return tuple(sorted({*bundles, *senses, *(read for of in items for read in evaluation_inputs(of, sense_text))}))


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
