"""Enrichment of senses with one example or none: verified synthetic contexts as anchors, positives and siblings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence

from msgspec import structs

from engine.contract.experiment import Verification
from engine.data.bundles.danger import rounded
from engine.data.bundles.drafts import Draft, VisibleSense, same_pos, siblings_of
from engine.data.bundles.encoder_text import EmbeddedTexts, encoder_text_of
from engine.data.bundles.synthetic import Substitution, Synthetic
from engine.data.records import Rejected, UsageEvent
from engine.data.wordnet.usage_events import normalised

SYNTHETICS_PER_SENSE = 3


def synthetic_candidates(
    senses: Sequence[VisibleSense], substitution: Substitution, forbidden: Container[str], excluded: Counter[str]
) -> Iterator[Synthetic]:
    """Synthetic contexts to verify for the senses of one lemma that have one visible example or none."""
    for visible in senses:
        shown = (other.examples or (other.gloss,) for other in same_pos(visible, senses))
        siblings = tuple(dict.fromkeys(encoder_text_of(event) for row in shown for event in row if event is not None))
        if len(visible.examples) > 1 or not siblings:
            continue
        made = list(substitution.synthetics(visible.sense, forbidden, excluded))
        excluded["more than enough for its sense"] += max(0, len(made) - SYNTHETICS_PER_SENSE)
        yield from (structs.replace(synthetic, siblings=siblings) for synthetic in made[:SYNTHETICS_PER_SENSE])


def can_enrich(senses: Sequence[VisibleSense], candidates: Sequence[Synthetic]) -> bool:
    """Whether synthetic candidates could give a lemma a bundle: two senses of a part of speech with a sentence each."""
    with_synthetic = {candidate.event.sense_id for candidate in candidates}
    in_sentence = [visible for visible in senses if visible.examples or visible.sense.sense_id in with_synthetic]
    return any(visible.sense.sense_id in with_synthetic and same_pos(visible, in_sentence) for visible in in_sentence)


def verify(
    candidates: Sequence[Synthetic], texts: EmbeddedTexts, thresholds: Verification
) -> tuple[tuple[Synthetic, ...], tuple[Rejected, ...]]:
    """Verify each candidate under frozen mean pooling; the accepted and the rejected ones, in their order.

    Accepted if its similarity to the original (an example of the same synset) is at least ``least_similarity``, and
    exceeds its similarity to the nearest text of a sibling sense by at least ``least_gap``.
    """
    contexts = [candidate.event.text for candidate in candidates]
    similarity = texts.similarities(contexts, [candidate.original for candidate in candidates])
    gaps = similarity - texts.nearest(contexts, [candidate.siblings for candidate in candidates])
    accepted: list[Synthetic] = []
    rejected: list[Rejected] = []
    for made, near, gap in zip(candidates, rounded(similarity).tolist(), rounded(gaps).tolist(), strict=True):
        if near < thresholds.least_similarity:
            rejected.append(Rejected(made.event, made.original, "too far from its original", near, gap))
        elif gap < thresholds.least_gap:
            rejected.append(Rejected(made.event, made.original, "too near to a sibling sense", near, gap))
        else:
            accepted.append(made)
    return tuple(accepted), tuple(rejected)


def enriched_senses(
    senses: Sequence[VisibleSense], synthetics: Mapping[str, Sequence[UsageEvent]]
) -> tuple[VisibleSense, ...]:
    """The senses with their synthetic contexts added to their examples; ``synthetics`` is by sense id."""
    return tuple(
        structs.replace(visible, examples=(*visible.examples, *synthetics.get(visible.sense.sense_id, ())))
        for visible in senses
    )


def draft_enrichment(senses: Sequence[VisibleSense], drafted: Container[str]) -> Iterator[Draft]:
    """Drafts for the senses of one lemma after enrichment; ``drafted`` are the senses that have one without it.

    Each synthetic context is an anchor with a real example as its positive, and once more with the gloss; without a
    real example, with another synthetic context, else the gloss. A real example is an anchor with each synthetic
    context of its sense as the positive; without any, with the gloss, if only the enrichment gave it a sibling that
    is used in a sentence.
    """
    for visible in senses:
        made = [event for event in visible.examples if event.source == "synthetic"]
        real = [event for event in visible.examples if event.source != "synthetic"]
        gloss = [] if visible.gloss is None else [visible.gloss]
        others = same_pos(visible, senses)
        for number, anchor in enumerate(made):
            yield from _draft(anchor, (*real, *made[number + 1 :], *made[:number], *gloss), others)
            yield from _draft(anchor, gloss if real else (), others)
        for positive in made if real else ():
            yield from _draft(real[0], (positive,), others)
        if real and not made and visible.sense.sense_id not in drafted:
            yield from _draft(real[0], (*real[1:], *gloss), others)


def _draft(anchor: UsageEvent, positives: Sequence[UsageEvent], others: Sequence[VisibleSense]) -> Iterator[Draft]:
    """The draft with the first positive in another text, if one of the siblings is an example."""
    positive = next((event for event in positives if normalised(event.text) != normalised(anchor.text)), None)
    if positive is None:
        return
    siblings = siblings_of(anchor, others, {normalised(anchor.text), normalised(positive.text)})
    if any(event.source != "gloss" for event in siblings):
        yield Draft(anchor, positive, siblings)
