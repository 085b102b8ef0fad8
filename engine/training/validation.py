"""Validation: how a model ranks the right sentence of held-out development bundles among their siblings."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from engine.contract.experiment import Training
from engine.encoder.token_states import TokenStates
from engine.model.embed import embed_rows
from engine.model.sense_head import SenseHead
from engine.training.batch_loss import bundle_loss
from engine.training.bundle_arrays import NO_TIER, TIER_NAMES, BundleArrays
from engine.training.comparison import among_sentences, similarities


class Ranking(NamedTuple):
    """``top1``: share of bundles whose target beats every sibling sentence (a tie loses); ``margin``: mean of target
    minus best sibling; ``tiers``: top1 by tier name, of the tiers that occur."""

    top1: float
    margin: float
    tiers: dict[str, float]


class Validation(NamedTuple):
    """The head's ranking, its loss, and the mean entropy / log T of its attention, on the development bundles."""

    ranking: Ranking
    loss: float
    attention_entropy: float


def rank(embedding: Tensor, bundles: BundleArrays) -> Ranking:
    """Rank each bundle's sentence among its sibling sentences; ``embedding`` (U, E) has unit rows.

    A bundle without a sibling sentence is left out.
    """
    way = among_sentences(bundles)
    seen = similarities(embedding, way)
    best = seen.negatives.masked_fill(~way.comparable, -1.0).amax(dim=1)
    asked = way.comparable.any(dim=1)
    margins, tier = (seen.positive - best)[asked].double(), bundles.tier[asked]
    right = (margins > 0).double()
    tiers = {
        name: float(right[tier == index].mean())
        for index, name in zip((0, 1, 2, NO_TIER), TIER_NAMES, strict=True)
        if bool((tier == index).any())
    }
    return Ranking(float(right.mean()), float(margins.mean()), tiers)


def validate(
    head: SenseHead, states: TokenStates, mean_pool: Tensor, bundles: BundleArrays, settings: Training
) -> Validation:
    """Evaluate ``head`` (no dropout) on development bundles; ``mean_pool`` is (texts, H)."""
    rows, local = bundles.unique_texts()
    embedding, evenness = embed_rows(head, states, rows)
    loss = bundle_loss(embedding, mean_pool[rows], local, settings)
    return Validation(rank(embedding, local), float(loss.mean()), float(evenness.mean()))
