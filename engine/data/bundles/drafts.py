"""Drafts of bundles: an anchor, its positive and its siblings, chosen by rule and hash before anything is embedded."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from msgspec import Struct

from engine.data.records import UsageEvent
from engine.data.wordnet.usage_events import Sense, digest, normalised

MAX_SIBLINGS = 6


class Draft(Struct, frozen=True):
    """A bundle without cross-lemma negatives, danger and tier."""

    anchor: UsageEvent
    positive: UsageEvent
    siblings: tuple[UsageEvent, ...]

    @property
    def events(self) -> tuple[UsageEvent, ...]:
        return (self.anchor, self.positive, *self.siblings)


class SeenSense(Struct, frozen=True):
    """A sense with what may be shown of it: its examples without the forbidden ones, its gloss unless forbidden."""

    sense: Sense
    examples: tuple[UsageEvent, ...]
    gloss: UsageEvent | None


def without(senses: Sequence[Sense], forbidden: Container[str]) -> tuple[SeenSense, ...]:
    """The senses of a lemma without every event whose normal form is in ``forbidden``."""
    return tuple(
        SeenSense(
            sense,
            tuple(event for event in sense.examples if normalised(event.text) not in forbidden),
            None if normalised(sense.gloss.text) in forbidden else sense.gloss,
        )
        for sense in senses
    )


def draft_v22(senses: Sequence[SeenSense]) -> Iterator[Draft]:
    """One draft for each sense seen in a sentence; siblings of its part of speech, else of another."""
    for seen in senses:
        same, other = _others(seen, senses)
        if draft := draft_of(seen, same) or draft_of(seen, other):
            yield draft


def draft_v23(senses: Sequence[SeenSense]) -> Iterator[Draft]:
    """As v2.2, and the siblings have the anchor's part of speech; of a sense with three examples a second draft.

    The second anchor is neither the first nor its positive, so that every draft shows a sentence of its own.
    """
    for seen in senses:
        others = same_pos(seen, senses)
        if draft := draft_of(seen, others):
            yield draft
            shown = {normalised(draft.anchor.text), normalised(draft.positive.text)}
            if second := draft_of(seen, others, shown):
                yield second


def draft_of(seen: SeenSense, others: Sequence[SeenSense], shown: Container[str] = ()) -> Draft | None:
    """The draft of a sense, or None.

    The anchor is an example whose normal form is not ``shown``; the positive another example in another text, else the
    gloss. A sibling of another sense is an example, else its gloss; at least one sibling is an example, so that an anchor
    is never told from its negatives by the mere look of a definition.
    """
    anchors = [event for event in seen.examples if normalised(event.text) not in shown]
    if not anchors or not any(other.examples for other in others):
        return None
    anchor = _pick(anchors, seen.sense.sense_id)
    taken = {normalised(anchor.text)}
    positive = another_text(seen, taken)
    if positive is None:
        return None
    taken.add(normalised(positive.text))
    siblings = siblings_of(anchor, others, taken)
    return Draft(anchor, positive, siblings) if any(event.source == "example" for event in siblings) else None


def another_text(seen: SeenSense, taken: Container[str]) -> UsageEvent | None:
    """Another example of the sense, else its gloss, in a text whose normal form is not ``taken``."""
    gloss = () if seen.gloss is None else (seen.gloss,)
    return next((event for event in seen.examples + gloss if normalised(event.text) not in taken), None)


def siblings_of(anchor: UsageEvent, others: Sequence[SeenSense], taken: Container[str]) -> tuple[UsageEvent, ...]:
    """One event for each other sense, an example before a gloss, at most ``MAX_SIBLINGS``, no text twice or ``taken``.

    Senses seen in a sentence go first; which example stands for a sense turns with the anchor.
    """
    chosen: dict[str, UsageEvent] = {}
    for seen in sorted(others, key=lambda other: not other.examples):
        usable = [event for event in seen.examples if _is_new(event, taken, chosen)]
        if not usable and seen.gloss is not None and _is_new(seen.gloss, taken, chosen):
            usable = [seen.gloss]
        if usable and len(chosen) < MAX_SIBLINGS:
            event = _pick(usable, anchor.event_id)
            chosen[normalised(event.text)] = event
    return tuple(chosen.values())


def same_pos(seen: SeenSense, senses: Sequence[SeenSense]) -> tuple[SeenSense, ...]:
    """The other senses of the lemma in the part of speech of ``seen``."""
    return _others(seen, senses)[0]


def _others(seen: SeenSense, senses: Sequence[SeenSense]) -> tuple[tuple[SeenSense, ...], tuple[SeenSense, ...]]:
    """The lemma's other senses: of the same part of speech, and of others."""
    rest = [other for other in senses if other is not seen]
    same = tuple(other for other in rest if other.sense.pos == seen.sense.pos)
    return same, tuple(other for other in rest if other.sense.pos != seen.sense.pos)


def _is_new(event: UsageEvent, taken: Container[str], chosen: Container[str]) -> bool:
    key = normalised(event.text)
    return key not in taken and key not in chosen


def _pick(events: Sequence[UsageEvent], salt: str) -> UsageEvent:
    return min(events, key=lambda event: digest("pick", salt, event.event_id))
