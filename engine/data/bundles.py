"""Finishes drafts into bundles: cross-lemma negatives, danger under frozen mean pooling, tiers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from engine.contract.experiment import Tier
from engine.data.danger import dangers, rounded
from engine.data.drafts import Draft
from engine.data.embedded_texts import EmbeddedTexts
from engine.data.reading import reading_of
from engine.data.records import Bundle, UsageEvent
from engine.data.usage_events import digest

CROSS_LEMMA = 3


def finish(
    edition: str, drafts: Sequence[Draft], cross: Sequence[Sequence[UsageEvent]], texts: EmbeddedTexts
) -> tuple[Bundle, ...]:
    """The drafts as bundles without tiers, in the order of the drafts.

    Args:
        edition: part of the bundle's id, for one draft may stand in several editions.
        drafts: anchors, positives and siblings.
        cross: for each draft its cross-lemma negatives, in other texts; the first ``CROSS_LEMMA`` are taken.
        texts: embeddings of every reading of the drafts and their cross-lemma negatives.
    """
    chosen = [tuple(row[:CROSS_LEMMA]) for row in cross]
    anchors = [reading_of(draft.anchor) for draft in drafts]
    danger = dangers(
        anchors,
        [[reading_of(draft.positive)] for draft in drafts],
        [[reading_of(event) for event in (*draft.siblings, *row)] for draft, row in zip(drafts, chosen, strict=True)],
        texts,
    )
    repeated = [anchor for anchor, row in zip(anchors, chosen, strict=True) for _ in row]
    near = iter(rounded(texts.similarities(repeated, [reading_of(event) for row in chosen for event in row])).tolist())
    return tuple(
        bundle_of(edition, draft, row, tuple(islice(near, len(row))), float(value))
        for draft, row, value in zip(drafts, chosen, danger, strict=True)
    )


def bundle_of(
    edition: str,
    draft: Draft,
    cross: tuple[UsageEvent, ...],
    similarities: tuple[float, ...],
    danger: float,
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
