"""The three editions of the training bundles, all of the same training lemmas: v2.2, v2.3, enriched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct, structs

from engine.contract.experiment import Edition
from engine.data.adversarial import mine
from engine.data.bundles import finish
from engine.data.cross_lemma import nearest_other_lemmas
from engine.data.danger import TIER2_FROM, TIER3_FROM, tier_by_cuts, tiers_of
from engine.data.drafts import Draft
from engine.data.embedded_texts import EmbeddedTexts
from engine.data.enrichment import draft_enrichment, enriched_senses
from engine.data.plan import Plan
from engine.data.records import Bundle, UsageEvent
from engine.data.verification import verified

CROSS_POOL = 12


class Editions(Struct, frozen=True):
    """Bundles by edition and for development, and the originals of the synthetic events by event id."""

    bundles: dict[Edition, tuple[Bundle, ...]]
    dev: tuple[Bundle, ...]
    originals: dict[str, str]
    tier_cuts: tuple[float, float]


def make_editions(plan: Plan, texts: EmbeddedTexts, adversarial: int, counts: Counter[str]) -> Editions:
    """Every edition of a plan, whose texts are embedded; ``counts`` gathers what became of the synthetics."""
    v22 = finish("v2.2", plan.v22, [()] * len(plan.v22), texts)
    dev, _, _ = _tiered("dev", plan.dev, texts)
    tiered, near, cuts = _tiered("v2.3", plan.v23, texts)
    v23 = (*tiered, *mine("v2.3", tiered, near, texts, cuts[0], adversarial))
    extra, originals = _enrichment(plan, texts, cuts, counts)
    return Editions({"v2.2": v22, "v2.3": v23, "enriched": (*v23, *extra)}, dev, originals, cuts)


def _tiered(
    edition: str, drafts: Sequence[Draft], texts: EmbeddedTexts
) -> tuple[tuple[Bundle, ...], list[tuple[UsageEvent, ...]], tuple[float, float]]:
    """Bundles with tiers by rank of danger, their near cross-lemma events, and the least dangers of tiers 2 and 3."""
    near = nearest_other_lemmas([draft.anchor for draft in drafts], _pool(drafts), texts, CROSS_POOL)
    bundles = finish(edition, drafts, near, texts)
    danger = np.array([bundle.danger for bundle in bundles])
    tiers = tiers_of(danger)
    ordered = np.sort(danger)
    cuts = tuple(
        float(ordered[min(len(ordered) - 1, round(share * len(ordered)))]) for share in (TIER2_FROM, TIER3_FROM)
    )
    tiered = tuple(structs.replace(bundle, tier=tier) for bundle, tier in zip(bundles, tiers, strict=True))
    return tiered, near, (cuts[0], cuts[1])


def _enrichment(
    plan: Plan, texts: EmbeddedTexts, cuts: tuple[float, float], counts: Counter[str]
) -> tuple[tuple[Bundle, ...], dict[str, str]]:
    """Bundles of the enriched senses, tiers on the scale of v2.3, so that a tier means the same danger in both."""
    synthetics: dict[str, list[UsageEvent]] = {}
    originals: dict[str, str] = {}
    for claim in verified(plan.claims, texts, counts):
        event = claim.synthetic.event
        synthetics.setdefault(event.sense_id, []).append(event)
        originals[event.event_id] = claim.synthetic.original
    counts["accepted"] += len(originals)
    enough = {draft.anchor.sense_id for draft in plan.v23}
    drafts = [draft for senses in plan.seen for draft in draft_enrichment(enriched_senses(senses, synthetics), enough)]
    texts.add(text for draft in drafts for text in draft.texts)
    near = nearest_other_lemmas([draft.anchor for draft in drafts], _pool(plan.v23), texts, CROSS_POOL)
    bundles = finish("enriched", drafts, near, texts)
    tiered = tuple(structs.replace(bundle, tier=tier_by_cuts(bundle.danger, cuts)) for bundle in bundles)
    return tiered, originals


def _pool(drafts: Sequence[Draft]) -> tuple[UsageEvent, ...]:
    """The real sentences among the events of drafts, each event once, in their order."""
    events = (event for draft in drafts for event in (draft.anchor, draft.positive, *draft.siblings))
    return tuple({event.event_id: event for event in events if event.source == "example"}.values())
