"""Enrichment of senses with one example or none: synthetic contexts as anchors, positives and siblings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence

from msgspec import structs

from engine.data.bundles.drafts import Draft, SeenSense, same_pos, siblings_of
from engine.data.bundles.encoder_text import encoder_text_of
from engine.data.bundles.synthetic import Substitution
from engine.data.bundles.verification import Claim
from engine.data.records import UsageEvent
from engine.data.wordnet.usage_events import normalised

SYNTHETICS_PER_SENSE = 3


def claims_of(
    senses: Sequence[SeenSense], substitution: Substitution, forbidden: Container[str], refused: Counter[str]
) -> Iterator[Claim]:
    """Synthetic contexts to verify for the senses of one lemma that have one visible example or none."""
    for seen in senses:
        siblings = tuple(dict.fromkeys(text for other in same_pos(seen, senses) for text in _shown(other)))
        if len(seen.examples) > 1 or not siblings:
            continue
        made = list(substitution.synthetics(seen.sense, forbidden, refused))
        refused["more than enough for its sense"] += max(0, len(made) - SYNTHETICS_PER_SENSE)
        for synthetic in made[:SYNTHETICS_PER_SENSE]:
            yield Claim(synthetic, siblings)


def gives_enrichment(senses: Sequence[SeenSense], claims: Sequence[Claim]) -> bool:
    """Whether a lemma could have a bundle by its claims: two senses of a part of speech that stand in a sentence."""
    claimed = {claim.synthetic.event.sense_id for claim in claims}
    in_sentence = [seen for seen in senses if seen.examples or seen.sense.sense_id in claimed]
    return any(seen.sense.sense_id in claimed and same_pos(seen, in_sentence) for seen in in_sentence)


def _shown(seen: SeenSense) -> Iterator[str]:
    """What the encoder reads of a sense: its examples, else its gloss."""
    if seen.examples:
        yield from (event.text for event in seen.examples)
    elif seen.gloss is not None:
        yield encoder_text_of(seen.gloss)


def enriched_senses(
    senses: Sequence[SeenSense], synthetics: Mapping[str, Sequence[UsageEvent]]
) -> tuple[SeenSense, ...]:
    """The senses with their synthetic contexts behind their examples; ``synthetics`` is by sense id."""
    return tuple(
        structs.replace(seen, examples=(*seen.examples, *synthetics.get(seen.sense.sense_id, ()))) for seen in senses
    )


def draft_enrichment(senses: Sequence[SeenSense], enough: Container[str]) -> Iterator[Draft]:
    """Drafts for the senses of one lemma after enrichment; ``enough`` holds the senses that have a draft without it.

    Each synthetic context is an anchor with a real example as its positive, and once more with the gloss; without a
    real example, with another synthetic context, else the gloss. A real example is an anchor with each synthetic
    context of its sense as the positive; without any, with the gloss, if only the enrichment gave it a sibling that
    is seen in a sentence.
    """
    for seen in senses:
        made = [event for event in seen.examples if event.source == "synthetic"]
        real = [event for event in seen.examples if event.source != "synthetic"]
        gloss = [] if seen.gloss is None else [seen.gloss]
        others = same_pos(seen, senses)
        for number, anchor in enumerate(made):
            yield from _draft(anchor, (*real, *made[number + 1 :], *made[:number], *gloss), others)
            yield from _draft(anchor, gloss if real else (), others)
        for positive in made if real else ():
            yield from _draft(real[0], (positive,), others)
        if real and not made and seen.sense.sense_id not in enough:
            yield from _draft(real[0], (*real[1:], *gloss), others)


def _draft(anchor: UsageEvent, positives: Sequence[UsageEvent], others: Sequence[SeenSense]) -> Iterator[Draft]:
    """The draft with the first positive in another text, if one of the siblings is seen in a sentence."""
    positive = next((event for event in positives if normalised(event.text) != normalised(anchor.text)), None)
    if positive is None:
        return
    siblings = siblings_of(anchor, others, {normalised(anchor.text), normalised(positive.text)})
    if any(event.source != "gloss" for event in siblings):
        yield Draft(anchor, positive, siblings)
