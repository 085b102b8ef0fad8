"""Finishes drafts into bundles: cross-lemma negatives, danger under frozen mean pooling, tiers."""

from __future__ import annotations

from collections.abc import Sequence

from engine.data.danger import dangers
from engine.data.drafts import Draft
from engine.data.embedded_texts import EmbeddedTexts
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
        cross: for each draft its cross-lemma negatives; the first ``CROSS_LEMMA`` are taken.
        texts: embeddings of every text of the drafts and their cross-lemma negatives.
    """
    chosen = [tuple(_other_texts(draft, row))[:CROSS_LEMMA] for draft, row in zip(drafts, cross, strict=True)]
    danger = dangers(
        [draft.anchor.text for draft in drafts],
        [[draft.positive.text] for draft in drafts],
        [[event.text for event in (*draft.siblings, *row)] for draft, row in zip(drafts, chosen, strict=True)],
        texts,
    )
    return tuple(
        bundle_of(edition, draft, row, float(value)) for draft, row, value in zip(drafts, chosen, danger, strict=True)
    )


def bundle_of(
    edition: str, draft: Draft, cross: tuple[UsageEvent, ...], danger: float, *, adversarial: bool = False
) -> Bundle:
    """A bundle whose id is a hash of its edition and its events."""
    events = (draft.anchor, draft.positive, *draft.siblings, *cross)
    bundle_id = digest("bundle", edition, str(adversarial), *(event.event_id for event in events))
    return Bundle(bundle_id, draft.anchor, draft.positive, draft.siblings, cross, danger, None, adversarial)


def _other_texts(draft: Draft, events: Sequence[UsageEvent]) -> list[UsageEvent]:
    """``events`` without texts that the draft has already: a negative must never be the positive."""
    return [event for event in events if event.text not in draft.texts]
