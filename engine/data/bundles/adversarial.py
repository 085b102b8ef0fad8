"""Adversarial bundles: anchors that stay dangerous whichever hard negatives stand beside them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.contract.experiment import TIERS
from engine.data.bundles.bundles import CROSS_LEMMA, bundle_of
from engine.data.bundles.danger import rounded
from engine.data.bundles.drafts import Draft
from engine.data.bundles.encoder_text import EmbeddedTexts, encoder_text_of
from engine.data.records import Bundle, UsageEvent
from engine.data.wordnet.usage_events import digest

LINE_UPS, LEAST_PASSED = 10, 3
_SIBLINGS = 3


def mine(
    edition: str,
    bundles: Sequence[Bundle],
    cross: Sequence[Sequence[UsageEvent]],
    texts: EmbeddedTexts,
    least_danger: float,
    limit: int,
) -> tuple[Bundle, ...]:
    """Up to ``limit`` adversarial bundles, the most dangerous first.

    For each bundle of ``least_danger`` ten other line-ups of hard negatives are drawn by hash from its siblings and
    its near cross-lemma events, all without the negative that made it dangerous; a bundle without another sibling gives
    none. At least three of them must reach ``least_danger``: one near-duplicate negative then cannot make an anchor
    adversarial. The most dangerous line-up becomes the bundle.

    Args:
        edition: part of the ids.
        bundles: finished bundles.
        cross: for each bundle its near cross-lemma events, in other texts than its own, more than it took.
        texts: embeddings of all their texts.
        least_danger: the danger from which a bundle is tried and a line-up passes; that of tier 2.
        limit: how many to make at most.
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
    names = [encoder_text_of(event) for event in events]
    similarity = rounded(texts.similarities([encoder_text_of(bundle.anchor)] * len(names), names)).tolist()
    near = dict(zip((event.event_id for event in events), similarity, strict=True))
    hardest = max((*bundle.siblings, *bundle.cross_lemma), key=lambda event: near[event.event_id])
    siblings = [event for event in bundle.siblings if event != hardest]
    others = [event for event in cross if event != hardest]
    if not siblings or not others:
        return None
    passed: list[tuple[float, Draft, tuple[UsageEvent, ...]]] = []
    for number in range(LINE_UPS):
        chosen = tuple(_draw(siblings, f"{bundle.bundle_id}{number}", _SIBLINGS))
        further = tuple(_draw(others, f"{bundle.bundle_id}{number}", CROSS_LEMMA))
        nearest = max(near[event.event_id] for event in (*chosen, *further))
        danger = round(nearest - near[bundle.positive.event_id], 5)
        if danger >= least_danger:
            passed.append((danger, Draft(bundle.anchor, bundle.positive, chosen), further))
    if len(passed) < LEAST_PASSED:
        return None
    danger, draft, further = max(passed, key=lambda line_up: line_up[0])
    similarities = tuple(near[event.event_id] for event in further)
    return bundle_of(edition, draft, further, similarities, danger, TIERS[2], adversarial=True)


def _draw(events: Sequence[UsageEvent], salt: str, count: int) -> list[UsageEvent]:
    return sorted(events, key=lambda event: digest("line-up", salt, event.event_id))[:count]
