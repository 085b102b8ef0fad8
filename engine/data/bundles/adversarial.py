"""Mines adversarial bundles: anchors that stay dangerous whichever hard negatives they are compared with."""

from __future__ import annotations

from collections.abc import Sequence

from engine.contract.experiment import ADVERSARIAL
from engine.data.bundles.bundles import CROSS_LEMMA, bundle_of
from engine.data.bundles.danger import rounded
from engine.data.bundles.drafts import Draft
from engine.data.bundles.encoder_text import EmbeddedTexts, encoder_text_of
from engine.data.records import Bundle, UsageEvent
from engine.data.wordnet.usage_events import digest

DRAWS, LEAST_PASSED = 10, 3
_SIBLINGS = 3


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
    encoder_texts = [encoder_text_of(event) for event in events]
    similarity = rounded(texts.similarities([encoder_text_of(bundle.anchor)] * len(events), encoder_texts)).tolist()
    near = dict(zip((event.event_id for event in events), similarity, strict=True))
    hardest = max((*bundle.siblings, *bundle.cross_lemma), key=lambda event: near[event.event_id])
    siblings = [event for event in bundle.siblings if event != hardest]
    others = [event for event in cross if event != hardest]
    if not siblings or not others:
        return None
    passed: list[tuple[float, Draft, tuple[UsageEvent, ...]]] = []
    for number in range(DRAWS):
        chosen = tuple(_draw(siblings, f"{bundle.bundle_id}{number}", _SIBLINGS))
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
