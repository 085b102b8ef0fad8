"""Validation: how a model ranks the positive of held-out development bundles against their negatives."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from engine.contract.experiment import Training
from engine.encoder.token_states import TokenStates
from engine.model.embed import embed_rows
from engine.model.sense_head import SenseHead
from engine.training.bundle_arrays import TIER_NAMES, BundleArrays
from engine.training.losses import bundle_loss
from engine.training.similarity import BundleSimilarities, bundle_similarities


class Ranking(NamedTuple):
    """``top1``: share of bundles whose positive beats every negative (a tie loses); ``margin``: mean positive - best
    negative; ``tiers``: top1 by tier name, of the tiers that occur."""

    top1: float
    margin: float
    tiers: dict[str, float]


class Validation(NamedTuple):
    """The head's ranking, its loss, and the mean entropy / log T of its attention, on the development bundles."""

    ranking: Ranking
    loss: float
    attention_entropy: float


def rank(similarities: BundleSimilarities, bundles: BundleArrays) -> Ranking:
    """Rank each bundle's positive among its negatives."""
    best = similarities.negatives.masked_fill(~bundles.real, -1.0).amax(dim=1)
    margins = (similarities.positive - best).double()
    right = (margins > 0).double()
    tiers = {
        name: float(right[bundles.tier == tier].mean())
        for tier, name in zip((0, 1, 2, -1), TIER_NAMES, strict=True)
        if bool((bundles.tier == tier).any())
    }
    return Ranking(float(right.mean()), float(margins.mean()), tiers)


def validate(
    head: SenseHead, states: TokenStates, mean_pool: Tensor, bundles: BundleArrays, settings: Training
) -> Validation:
    """Evaluate ``head`` (no dropout) on development bundles; ``mean_pool`` is (texts, H)."""
    rows, local = bundles.unique_texts()
    embedding, evenness = embed_rows(head, states, rows)
    ours = bundle_similarities(embedding, local)
    theirs = bundle_similarities(mean_pool[rows], local)
    loss = bundle_loss(ours, theirs, bundles.real, bundles.tier, settings)
    return Validation(rank(ours, bundles), float(loss.mean()), float(evenness.mean()))


def mean_pool_ranking(mean_pool: Tensor, bundles: BundleArrays) -> Ranking:
    """The baseline's ranking of the same bundles."""
    with torch.no_grad():
        return rank(bundle_similarities(mean_pool, bundles), bundles)
