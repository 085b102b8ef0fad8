"""Completes drafts to bundles with the nearest cross-lemma negatives; mines adversarial bundles from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.contract.experiment import ADVERSARIAL, Tier
from engine.data.bundles.danger import sibling_dangers, with_danger
from engine.data.bundles.drafts import Draft
from engine.data.bundles.encoder_text import EmbeddedTexts
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
    tier: Tier | None = None,
    *,
    adversarial: bool = False,
) -> Bundle:
    """A bundle without danger whose id is a hash of its edition and its events."""
    events = (*draft.events, *cross)
    bundle_id = digest("bundle", edition, str(adversarial), *(event.event_id for event in events))
    return Bundle(bundle_id, draft.anchor, draft.positive, draft.siblings, cross, 0.0, tier, adversarial)


def mine_adversarial(
    edition: str,
    bundles: Sequence[Bundle],
    cross: Sequence[Sequence[UsageEvent]],
    texts: EmbeddedTexts,
    least_danger: float,
    limit: int,
) -> tuple[Bundle, ...]:
    """Up to ``limit`` adversarial bundles, the most dangerous to the training loss first.

    Danger here is that among the siblings that the loss compares (``compared_dangers``). For each bundle of at least
    ``least_danger``, ten sets of hard negatives are drawn by hash from its siblings and its near cross-lemma events,
    always without the sibling that made it dangerous; a bundle without another gives none. At least three sets must
    reach ``least_danger``, so that one near-duplicate negative cannot make an anchor adversarial. The most dangerous set
    becomes the bundle.

    Args:
        edition: part of the ids.
        bundles: complete bundles.
        cross: for each bundle its near cross-lemma events in other texts than its own, more than it has.
        texts: embeddings of all their texts.
        least_danger: the danger from which a bundle is tried and a drawn set counts.
        limit: how many bundles to make at most.
    """
    mined: list[tuple[float, Bundle]] = []
    for bundle, near, dangers in zip(bundles, cross, sibling_dangers(bundles, texts), strict=True):
        if near and len(bundle.siblings) > 1 and dangers.max() >= least_danger:
            by_sibling = dict(zip(bundle.siblings, dangers.tolist(), strict=True))
            if (found := _most_dangerous(edition, bundle, near, by_sibling, least_danger)) is not None:
                mined.append(found)
    mined.sort(key=lambda found: (-found[0], found[1].bundle_id))
    return with_danger([bundle for _, bundle in mined[:limit]], texts)


def _most_dangerous(
    edition: str,
    bundle: Bundle,
    cross: Sequence[UsageEvent],
    by_sibling: Mapping[UsageEvent, float],
    least_danger: float,
) -> tuple[float, Bundle] | None:
    """The adversarial bundle of ``bundle`` and its danger; None if too few sets of negatives are dangerous."""
    hardest = max(bundle.siblings, key=by_sibling.__getitem__)
    others = [event for event in bundle.siblings if event != hardest]
    passed: list[tuple[float, tuple[UsageEvent, ...], tuple[UsageEvent, ...]]] = []
    for number in range(DRAWS):
        siblings = tuple(_draw(others, f"{bundle.bundle_id}{number}", _ADVERSARIAL_SIBLINGS))
        cross_lemma = tuple(_draw(cross, f"{bundle.bundle_id}{number}", CROSS_LEMMA))
        if (danger := max(map(by_sibling.__getitem__, siblings))) >= least_danger:
            passed.append((danger, siblings, cross_lemma))
    if len(passed) < LEAST_PASSED:
        return None
    danger, siblings, cross_lemma = max(passed, key=lambda drawn: drawn[0])
    draft = Draft(bundle.anchor, bundle.positive, siblings)
    return danger, bundle_of(edition, draft, cross_lemma, ADVERSARIAL, adversarial=True)


def _draw(events: Sequence[UsageEvent], salt: str, count: int) -> list[UsageEvent]:
    return sorted(events, key=lambda event: digest("line-up", salt, event.event_id))[:count]
