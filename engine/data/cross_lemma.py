"""Cross-lemma negatives: the events of other lemmas that lie nearest to an anchor under frozen mean pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.data.embedded_texts import EmbeddedTexts
from engine.data.records import UsageEvent
from engine.data.usage_events import normalised, synset_of

_BLOCK = 256


def nearest_other_lemmas(
    anchors: Sequence[UsageEvent], pool: Sequence[UsageEvent], texts: EmbeddedTexts, count: int
) -> list[tuple[UsageEvent, ...]]:
    """For each anchor its ``count`` nearest events of ``pool``, the nearest first, fewer if the pool is small.

    Never an event of the anchor's lemma, of a synonym in its synset, or with its text; no text twice.
    """
    if not anchors or not pool:
        return [() for _ in anchors]
    lemma, synset, text = (_codes(key, anchors, pool) for key in (_lemma, synset_of, _text))
    size = len(anchors)
    matrix = texts.matrix[texts.rows(event.text for event in pool)]
    queries = texts.rows(event.text for event in anchors)
    wanted = min(len(pool), count * 4)
    found: list[tuple[UsageEvent, ...]] = []
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        similarity = texts.matrix[queries[start:stop]] @ matrix.T
        for codes in (lemma, synset, text):
            similarity[codes[start:stop, None] == codes[None, size:]] = -2.0
        best = np.argpartition(-similarity, wanted - 1, axis=1)[:, :wanted]
        scores = np.take_along_axis(similarity, best, axis=1)
        # ties by place in the pool, so that the order never depends on how the partition fell
        order = np.lexsort((best, -np.round(scores, 5)), axis=1)
        ranked, scores = np.take_along_axis(best, order, axis=1), np.take_along_axis(scores, order, axis=1)
        for row, row_scores in zip(ranked, scores, strict=True):
            found.append(_distinct([pool[i] for i, score in zip(row, row_scores, strict=True) if score > -1.5], count))
    return found


def _distinct(events: Sequence[UsageEvent], count: int) -> tuple[UsageEvent, ...]:
    by_text: dict[str, UsageEvent] = {}
    for event in events:
        by_text.setdefault(event.text, event)
    return tuple(by_text.values())[:count]


def _lemma(event: UsageEvent) -> str:
    return event.lemma


def _text(event: UsageEvent) -> str:
    return normalised(event.text)


def _codes(
    key: Callable[[UsageEvent], str], anchors: Sequence[UsageEvent], pool: Sequence[UsageEvent]
) -> NDArray[np.int64]:
    """A whole number for each event of ``anchors`` then ``pool``, equal where ``key`` is equal."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(key(event), len(numbers)) for event in (*anchors, *pool)], dtype=np.int64)
