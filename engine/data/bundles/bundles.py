"""Completes drafts to bundles: cross-lemma negatives (nearest under frozen mean pooling), danger, ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.contract.experiment import Tier
from engine.data.bundles.danger import with_danger
from engine.data.bundles.drafts import Draft
from engine.data.bundles.encoder_text import EmbeddedTexts
from engine.data.records import Bundle, UsageEvent
from engine.data.wordnet.usage_events import digest, normalised, synset_of

CROSS_LEMMA = 3
_BLOCK = 256  # anchors compared at once
_FORBIDDEN = -2.0  # below every cosine


def nearest_other_lemmas(
    anchors: Sequence[UsageEvent], pool: Sequence[UsageEvent], texts: EmbeddedTexts, count: int
) -> list[tuple[UsageEvent, ...]]:
    """For each anchor its ``count`` nearest events of ``pool``, nearest first; fewer if the pool is small.

    Never an event of the anchor's lemma, of a synonym in its synset, or with its text; no text twice.
    """
    if not anchors or not pool:
        return [() for _ in anchors]
    keys = (lambda event: event.lemma, synset_of, lambda event: normalised(event.text))
    forbidden = [_codes(key, anchors, pool) for key in keys]
    size = len(anchors)
    matrix = texts.matrix[texts.rows(event.text for event in pool)]
    queries = texts.rows(event.text for event in anchors)
    wanted = min(len(pool), count * 4)  # more than needed, because repeated texts are dropped
    found: list[tuple[UsageEvent, ...]] = []
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        similarity = texts.matrix[queries[start:stop]] @ matrix.T
        for codes in forbidden:
            similarity[codes[start:stop, None] == codes[None, size:]] = _FORBIDDEN
        best = np.argpartition(-similarity, wanted - 1, axis=1)[:, :wanted]
        scores = np.take_along_axis(similarity, best, axis=1)
        # ties by index in the pool, because argpartition leaves their order undefined
        order = np.lexsort((best, -np.round(scores, 5)), axis=1)
        ranked, scores = np.take_along_axis(best, order, axis=1), np.take_along_axis(scores, order, axis=1)
        for row, row_scores in zip(ranked, scores, strict=True):
            by_text: dict[str, UsageEvent] = {}
            for index, score in zip(row, row_scores, strict=True):
                if score > _FORBIDDEN + 0.5:
                    by_text.setdefault(pool[index].text, pool[index])
            found.append(tuple(by_text.values())[:count])
    return found


def _codes(
    key: Callable[[UsageEvent], str], anchors: Sequence[UsageEvent], pool: Sequence[UsageEvent]
) -> NDArray[np.int64]:
    """An integer for each event of ``anchors``, then of ``pool``; equal where ``key`` is equal."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(key(event), len(numbers)) for event in (*anchors, *pool)], dtype=np.int64)


def complete(
    edition: str, drafts: Sequence[Draft], cross: Sequence[Sequence[UsageEvent]], texts: EmbeddedTexts
) -> tuple[Bundle, ...]:
    """Complete drafts to bundles without tiers, in the order of the drafts.

    Args:
        edition: part of the bundle's id, because one draft may be in several editions.
        drafts: anchors, positives and siblings.
        cross: for each draft its cross-lemma negatives, in other texts; the first ``CROSS_LEMMA`` are taken.
        texts: embeddings of all encoder texts of the drafts and their cross-lemma negatives.
    """
    bundles = [bundle_of(edition, draft, tuple(row[:CROSS_LEMMA])) for draft, row in zip(drafts, cross, strict=True)]
    return with_danger(bundles, texts)


def bundle_of(
    edition: str,
    draft: Draft,
    cross: tuple[UsageEvent, ...],
    similarities: tuple[float, ...] = (),
    danger: float = 0.0,
    tier: Tier | None = None,
    *,
    adversarial: bool = False,
) -> Bundle:
    """A bundle whose id is a hash of its edition and its events."""
    events = (*draft.events, *cross)
    bundle_id = digest("bundle", edition, str(adversarial), *(event.event_id for event in events))
    return Bundle(
        bundle_id, draft.anchor, draft.positive, draft.siblings, cross, danger, tier, adversarial, similarities
    )
