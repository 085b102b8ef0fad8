"""The loss of one batch: forward pass over each text once, then the parts of the loss put together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from engine.contract.experiment import TIERS, Training
from engine.data.bundles.encoder_text import encoder_text_of
from engine.data.records import Bundle, UsageEvent
from engine.encoder.token_states import RaggedBatch, TokenStates
from engine.model.sense_head import SenseHead
from engine.training.bundle_arrays import BundleArrays
from engine.training.comparison import among_sentences, both_ways, similarities
from engine.training.losses import comparison_loss, entropy_floor, hard_negative, is_hard, target_mass


def covers(characters: Tensor, event: UsageEvent) -> Tensor:
    """Which of a text's tokens overlap its target word: spans (T, 2) -> (T,) bool. A gloss has none."""
    starts, ends = characters.unbind(1)
    return (ends > starts) & (event.end > event.start) & (starts < event.end) & (ends > event.start)


def target_tokens(bundles: Iterable[Bundle], states: TokenStates) -> Tensor:
    """(N,) bool over the whole table: the token is part of a target word of some event with that text."""
    marked = torch.zeros(len(states.characters), dtype=torch.bool)
    for bundle in bundles:
        for event in (bundle.anchor, bundle.positive, *bundle.siblings, *bundle.cross_lemma):
            if event.source != "gloss":
                start, end = states.span(encoder_text_of(event))
                marked[start:end] |= covers(states.characters[start:end], event)
    return marked.to(states.device)


class Inputs(NamedTuple):
    """What every step reads: token states, their mean pooling (texts, H), the bundles, target-word flags (N,) or None."""

    states: TokenStates
    mean_pool: Tensor
    bundles: BundleArrays
    on_target: Tensor | None


class BatchLoss(NamedTuple):
    """``loss`` () to minimize; ``watched`` (2 + tiers,): pairs watched for the early warning, those of them whose hard
    negative is nearer than the positive, and bundles by tier, the untiered last."""

    loss: Tensor
    watched: Tensor


def batch_loss(
    head: SenseHead, inputs: Inputs, chosen: Tensor, settings: Training, dropout: Generator | None
) -> BatchLoss:
    """The loss of the bundles ``chosen`` (B,), averaged over bundles and, for the entropy floor, over texts."""
    batch = inputs.bundles.take(chosen)
    rows, local = batch.unique_texts()  # (U,)
    places, offsets = inputs.states.places(rows)
    ragged = RaggedBatch(inputs.states.table[places].float(), offsets)  # tokens (N, H)
    pooled = head(ragged, dropout)
    loss = bundle_loss(pooled.embedding, inputs.mean_pool[rows], local, settings).mean()
    loss = loss + settings.entropy_weight * entropy_floor(pooled.attention, offsets, settings.min_entropy).mean()
    if inputs.on_target is not None:
        on_target = inputs.on_target[places]
        loss = loss + settings.target_penalty * target_mass(pooled.attention, on_target, offsets).mean()
    return BatchLoss(loss, _watched(pooled.embedding.detach(), local, settings.hard_negative_top_k))


def bundle_loss(embedding: Tensor, mean_pool: Tensor, bundles: BundleArrays, settings: Training) -> Tensor:
    """The loss of each bundle, the mean of its two directions: embedding (U, E), mean_pool (U, H) -> (B,)."""
    losses = [
        comparison_loss(
            similarities(embedding, way), similarities(mean_pool, way), way.comparable, bundles.tier, settings
        )
        for way in both_ways(bundles)
    ]
    return torch.stack(losses).mean(dim=0)


def _watched(embedding: Tensor, bundles: BundleArrays, top_k: int) -> Tensor:
    """Counts for the guardrails; in an edition without tiers every bundle is watched, else the hard ones."""
    way = among_sentences(bundles)
    seen = similarities(embedding, way)
    gap = seen.positive - hard_negative(seen.negatives, way.comparable, top_k)
    hard = (is_hard(bundles.tier) | (bundles.tier < 0)) & way.comparable.any(dim=1)
    kinds = torch.bincount(torch.where(bundles.tier < 0, len(TIERS), bundles.tier), minlength=len(TIERS) + 1)
    return torch.cat([torch.stack([hard.sum(), (hard & (gap < 0)).sum()]), kinds])
