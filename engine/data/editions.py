"""The three editions of the training bundles, all of the same training lemmas: v2.2, v2.3, enriched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct, structs

from engine.contract.experiment import Edition, Verification
from engine.data.bundles.bundles import complete, mine_adversarial, nearest_other_lemmas
from engine.data.bundles.danger import (
    ADVERSARIAL_FROM,
    compared_dangers,
    danger_at,
    tier_by_cuts,
    tier_cuts,
    with_tiers_by_rank,
)
from engine.data.bundles.drafts import Draft
from engine.data.bundles.encoder_text import EmbeddedTexts, encoder_text_of
from engine.data.bundles.enrichment import draft_enrichment, enriched_senses, verify
from engine.data.plan import Plan
from engine.data.records import Bundle, Rejected, UsageEvent
from engine.data.wordnet.usage_events import normalised

CROSS_POOL = 12


class Editions(Struct, frozen=True):
    """Bundles of a build by edition and for development, with what verification and drafting left out.

    Attributes:
        bundles: training bundles by edition.
        dev: development bundles.
        originals: the text that each accepted synthetic context was made from, by event id.
        rejected: synthetic contexts that failed verification.
        tier_cuts: the least ``compared_dangers`` of tier 2 and tier 3 in v2.3.
        excluded: count of drafts that gave no bundle, by reason.
    """

    bundles: dict[Edition, tuple[Bundle, ...]]
    dev: tuple[Bundle, ...]
    originals: dict[str, str]
    rejected: tuple[Rejected, ...]
    tier_cuts: tuple[float, float]
    excluded: Counter[str]


def make_editions(plan: Plan, texts: EmbeddedTexts, adversarial: int, thresholds: Verification) -> Editions:
    """Make every edition of a plan; ``texts`` must hold its encoder texts; at most ``adversarial`` bundles are mined."""
    excluded: Counter[str] = Counter()
    v22 = complete("v2.2", plan.v22, [()] * len(plan.v22), texts)
    dev, _ = _tiered("dev", plan.dev, texts, excluded)
    v23, near = _tiered("v2.3", plan.v23, texts, excluded)
    compared = compared_dangers(v23, texts)
    cuts = tier_cuts(compared)
    hard = danger_at(compared, ADVERSARIAL_FROM)
    whole = (*v23, *mine_adversarial("v2.3", v23, near, texts, hard, adversarial))
    accepted, rejected = verify(plan.synthetics, texts, thresholds)
    synthetics: dict[str, list[UsageEvent]] = {}
    for made in accepted:
        synthetics.setdefault(made.event.sense_id, []).append(made.event)
    extra = _enrichment(plan, synthetics, texts, cuts, excluded)
    return Editions(
        bundles={"v2.2": v22, "v2.3": whole, "enriched": (*whole, *extra)},
        dev=dev,
        originals={made.event.event_id: made.original for made in accepted},
        rejected=rejected,
        tier_cuts=cuts,
        excluded=excluded,
    )


def _tiered(
    edition: str, drafts: Sequence[Draft], texts: EmbeddedTexts, excluded: Counter[str]
) -> tuple[tuple[Bundle, ...], list[tuple[UsageEvent, ...]]]:
    """Bundles with tiers by rank, and each bundle's near cross-lemma events."""
    kept, near = _with_near(drafts, _pool(drafts), texts, excluded)
    bundles = complete(edition, kept, near, texts)
    return with_tiers_by_rank(bundles, compared_dangers(bundles, texts)), near


def _enrichment(
    plan: Plan,
    synthetics: dict[str, list[UsageEvent]],
    texts: EmbeddedTexts,
    cuts: tuple[float, float],
    excluded: Counter[str],
) -> tuple[Bundle, ...]:
    """Bundles of the enriched senses; tiers on the scale of v2.3, so that a tier means the same danger in both."""
    drafted = {draft.anchor.sense_id for draft in plan.v23}
    drafts = [
        draft for senses in plan.visible for draft in draft_enrichment(enriched_senses(senses, synthetics), drafted)
    ]
    texts.add(encoder_text_of(event) for draft in drafts for event in draft.events)
    kept, near = _with_near(drafts, _pool(plan.v23), texts, excluded)
    bundles = complete("enriched", kept, near, texts)
    compared = compared_dangers(bundles, texts).tolist()
    return tuple(
        structs.replace(bundle, tier=tier_by_cuts(danger, cuts))
        for bundle, danger in zip(bundles, compared, strict=True)
    )


def _with_near(
    drafts: Sequence[Draft], pool: Sequence[UsageEvent], texts: EmbeddedTexts, excluded: Counter[str]
) -> tuple[list[Draft], list[tuple[UsageEvent, ...]]]:
    """The drafts that have cross-lemma events in other texts than their own, and these events, nearest first."""
    kept: list[Draft] = []
    near: list[tuple[UsageEvent, ...]] = []
    found = nearest_other_lemmas([draft.anchor for draft in drafts], pool, texts, CROSS_POOL)
    for draft, events in zip(drafts, found, strict=True):
        own = {normalised(event.text) for event in draft.events}
        if others := tuple(event for event in events if normalised(event.text) not in own):
            kept.append(draft)
            near.append(others)
    excluded["no other lemma's sentence to set against it"] += len(drafts) - len(kept)
    return kept, near


def _pool(drafts: Sequence[Draft]) -> tuple[UsageEvent, ...]:
    """The WordNet examples among the events of drafts, each event once, in their order."""
    events = (event for draft in drafts for event in draft.events)
    return tuple({event.event_id: event for event in events if event.source == "example"}.values())
