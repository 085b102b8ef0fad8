"""Completes drafts to bundles with the nearest cross-lemma negatives; mines adversarial bundles from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.contract.experiment import ADVERSARIAL, Tier
from engine.data.bundles.danger import rounded, with_danger
from engine.data.bundles.drafts import Draft
from engine.data.bundles.encoder_text import EmbeddedTexts, encoder_text_of
from engine.data.records import Bundle, UsageEvent
from engine.data.wordnet.usage_events import digest, normalised, synset_of

CROSS_LEMMA = 3
DRAWS, LEAST_PASSED = 10, 3
_ADVERSARIAL_SIBLINGS = 3
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


def mine_adversarial(
    edition: str,
    bundles: Sequence[Bundle],
    cross: Sequence[Sequence[UsageEvent]],
    texts: EmbeddedTexts,
    least_danger: float,
    limit: int,
) -> tuple[Bundle, ...]:
    """Up to ``limit`` adversarial bundles, the most dangerous first.

    For each bundle of at least ``least_danger``, ten sets of hard negatives are drawn by hash from its siblings and its
    near cross-lemma events, always without the negative that made it dangerous; a bundle without another sibling gives
    none. At least three sets must reach ``least_danger``, so that one near-duplicate negative cannot make an anchor
    adversarial. The most dangerous set becomes the bundle.

    Args:
        edition: part of the ids.
        bundles: complete bundles.
        cross: for each bundle its near cross-lemma events in other texts than its own, more than it has.
        texts: embeddings of all their texts.
        least_danger: the danger from which a bundle is tried and a drawn set counts; that of tier 2.
        limit: how many bundles to make at most.
    """
    mined = [
        found
        for bundle, near in zip(bundles, cross, strict=True)
        if bundle.danger >= least_danger and (found := _most_dangerous(edition, bundle, near, texts, least_danger))
    ]
    return tuple(sorted(mined, key=lambda bundle: (-bundle.danger, bundle.bundle_id))[:limit])


def _most_dangerous(
    edition: str, bundle: Bundle, cross: Sequence[UsageEvent], texts: EmbeddedTexts, least_danger: float
) -> Bundle | None:
    events = (bundle.positive, *bundle.siblings, *cross)
    (similarity,) = texts.to_each([encoder_text_of(bundle.anchor)], [[encoder_text_of(event) for event in events]])
    near = dict(zip((event.event_id for event in events), rounded(similarity).tolist(), strict=True))
    hardest = max((*bundle.siblings, *bundle.cross_lemma), key=lambda event: near[event.event_id])
    siblings = [event for event in bundle.siblings if event != hardest]
    others = [event for event in cross if event != hardest]
    if not siblings or not others:
        return None
    passed: list[tuple[float, Draft, tuple[UsageEvent, ...]]] = []
    for number in range(DRAWS):
        chosen = tuple(_draw(siblings, f"{bundle.bundle_id}{number}", _ADVERSARIAL_SIBLINGS))
        cross_lemma = tuple(_draw(others, f"{bundle.bundle_id}{number}", CROSS_LEMMA))
        nearest = max(near[event.event_id] for event in (*chosen, *cross_lemma))
        danger = round(nearest - near[bundle.positive.event_id], 5)
        if danger >= least_danger:
            passed.append((danger, Draft(bundle.anchor, bundle.positive, chosen), cross_lemma))
    if len(passed) < LEAST_PASSED:
        return None
    danger, draft, cross_lemma = max(passed, key=lambda drawn: drawn[0])
    similarities = tuple(near[event.event_id] for event in cross_lemma)
    return bundle_of(edition, draft, cross_lemma, similarities, danger, ADVERSARIAL, adversarial=True)


def _draw(events: Sequence[UsageEvent], salt: str, count: int) -> list[UsageEvent]:
    return sorted(events, key=lambda event: digest("line-up", salt, event.event_id))[:count]
