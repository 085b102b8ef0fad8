"""Completes drafts to bundles with the nearest cross-lemma negatives; mines adversarial bundles from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

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
_MOST_WORKERS = 8  # each holds a few blocks of similarities


def nearest_other_lemmas(
    anchors: Sequence[UsageEvent],
    pool: Sequence[UsageEvent],
    texts: EmbeddedTexts,
    count: int,
    workers: int | None = None,
) -> list[tuple[UsageEvent, ...]]:
    """For each anchor its ``count`` nearest events of ``pool``, nearest first; fewer if the pool is small.

    Never an event of the anchor's lemma, of a synonym in its synset, or with its text; no text twice. Blocks of anchors
    are compared in ``workers`` threads (None is one for each core), which changes nothing in the result.
    """
    if not anchors or not pool:
        return [() for _ in anchors]
    keys = (lambda event: event.lemma, synset_of, lambda event: normalised(event.text))
    forbidden = [(key, _indices(key, pool)) for key in keys]
    matrix = texts.matrix[texts.rows(event.text for event in pool)]
    queries = texts.rows(event.text for event in anchors)
    wanted = min(len(pool), count * 4)  # more than needed, because repeated texts are dropped

    def nearest(start: int) -> list[tuple[UsageEvent, ...]]:
        block = anchors[start : start + _BLOCK]
        similarity = texts.matrix[queries[start : start + _BLOCK]] @ matrix.T
        for row, anchor in enumerate(block):
            for key, indices in forbidden:
                similarity[row, indices.get(key(anchor), [])] = _FORBIDDEN
        best = np.argpartition(-similarity, wanted - 1, axis=1)[:, :wanted]
        scores = np.take_along_axis(similarity, best, axis=1)
        # ties by index in the pool, because argpartition leaves their order undefined
        order = np.lexsort((best, -np.round(scores, 5)), axis=1)
        ranked, scores = np.take_along_axis(best, order, axis=1), np.take_along_axis(scores, order, axis=1)
        found: list[tuple[UsageEvent, ...]] = []
        for row_best, row_scores in zip(ranked.tolist(), scores.tolist(), strict=True):
            by_text: dict[str, UsageEvent] = {}
            for index, score in zip(row_best, row_scores, strict=True):
                if score > _FORBIDDEN + 0.5:
                    by_text.setdefault(pool[index].text, pool[index])
            found.append(tuple(by_text.values())[:count])
        return found

    # numpy releases the interpreter in all that takes long here
    with ThreadPoolExecutor(workers or min(_MOST_WORKERS, len(os.sched_getaffinity(0)))) as threads:
        return [row for rows in threads.map(nearest, range(0, len(anchors), _BLOCK)) for row in rows]


def _indices(key: Callable[[UsageEvent], str], pool: Sequence[UsageEvent]) -> dict[str, list[int]]:
    """The indices in ``pool`` of the events with each value of ``key``."""
    found: dict[str, list[int]] = {}
    for index, event in enumerate(pool):
        found.setdefault(key(event), []).append(index)
    return found


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
