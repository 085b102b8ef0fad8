"""Drafts of bundles: anchor, positive and siblings, chosen by rule and hash before anything is embedded."""

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
        """The draft's texts in order: anchor, positive, siblings."""
        return (self.anchor, self.positive, *self.siblings)


class VisibleSense(Struct, frozen=True):
    """A sense with the texts that training may use: its examples and gloss without the held-out ones."""

    sense: Sense
    examples: tuple[UsageEvent, ...]
    gloss: UsageEvent | None

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of its examples and its gloss."""
        events = self.examples if self.gloss is None else (*self.examples, self.gloss)
        return tuple(event.text for event in events)


def visible_senses(senses: Sequence[Sense], forbidden: Container[str]) -> tuple[VisibleSense, ...]:
    """The senses of a lemma without the events whose normal form is in ``forbidden``."""
    return tuple(
        VisibleSense(
            sense,
            tuple(event for event in sense.examples if normalised(event.text) not in forbidden),
            None if normalised(sense.gloss.text) in forbidden else sense.gloss,
        )
        for sense in senses
    )


def draft_v22(senses: Sequence[VisibleSense]) -> Iterator[Draft]:
    """v2.2: one draft for each sense with an example; siblings of its part of speech, else of another."""
    for visible in senses:
        same = same_pos(visible, senses)
        other = [sense for sense in senses if sense.sense.pos != visible.sense.pos]
        if draft := draft_of(visible, same) or draft_of(visible, other):
            yield draft


def draft_v23(senses: Sequence[VisibleSense]) -> Iterator[Draft]:
    """v2.3: siblings have the anchor's part of speech; a sense with three examples gives a second draft.

    The second anchor is neither the first anchor nor its positive, so that every draft adds a new sentence.
    """
    for visible in senses:
        others = same_pos(visible, senses)
        if draft := draft_of(visible, others):
            yield draft
            used = {normalised(draft.anchor.text), normalised(draft.positive.text)}
            if second := draft_of(visible, others, used):
                yield second


def draft_of(visible: VisibleSense, others: Sequence[VisibleSense], used: Container[str] = ()) -> Draft | None:
    """The draft of a sense, or None.

    The anchor is an example whose normal form is not ``used``; the positive is another example in another text, else
    the gloss. A sibling is an example of another sense, else its gloss; at least one sibling is an example, because
    a head could otherwise tell anchor from negatives by the style of definitions alone.
    """
    anchors = [event for event in visible.examples if normalised(event.text) not in used]
    if not anchors or not any(other.examples for other in others):
        return None
    anchor = _pick(anchors, visible.sense.sense_id)
    taken = {normalised(anchor.text)}
    texts = visible.examples if visible.gloss is None else (*visible.examples, visible.gloss)
    positive = next((event for event in texts if normalised(event.text) not in taken), None)
    if positive is None:
        return None
    taken.add(normalised(positive.text))
    siblings = siblings_of(anchor, others, taken)
    return Draft(anchor, positive, siblings) if any(event.source == "example" for event in siblings) else None


def siblings_of(anchor: UsageEvent, others: Sequence[VisibleSense], taken: Container[str]) -> tuple[UsageEvent, ...]:
    """At most ``MAX_SIBLINGS`` events, one for each other sense: an example, else the gloss; no text twice or ``taken``.

    Senses with examples go first; which example represents a sense depends on the anchor.
    """
    chosen: dict[str, UsageEvent] = {}
    for visible in sorted(others, key=lambda other: not other.examples):
        usable = [event for event in visible.examples if _is_new(event, taken, chosen)]
        if not usable and visible.gloss is not None and _is_new(visible.gloss, taken, chosen):
            usable = [visible.gloss]
        if usable and len(chosen) < MAX_SIBLINGS:
            event = _pick(usable, anchor.event_id)
            chosen[normalised(event.text)] = event
    return tuple(chosen.values())


def same_pos(visible: VisibleSense, senses: Sequence[VisibleSense]) -> tuple[VisibleSense, ...]:
    """The other senses of the lemma in the part of speech of ``visible``."""
    return tuple(other for other in senses if other is not visible and other.sense.pos == visible.sense.pos)


def _is_new(event: UsageEvent, taken: Container[str], chosen: Container[str]) -> bool:
    key = normalised(event.text)
    return key not in taken and key not in chosen


def _pick(events: Sequence[UsageEvent], salt: str) -> UsageEvent:
    return min(events, key=lambda event: digest("pick", salt, event.event_id))
