"""The loss of one batch: forward pass over each text once, then the parts of the loss put together."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from engine.contract.experiment import TIERS, Training
from engine.encoder.token_states import RaggedBatch, TokenStates
from engine.model.sense_head import SenseHead
from engine.training.bundle_arrays import BundleArrays
from engine.training.losses import bundle_loss, entropy_floor, hard_negative, is_hard, target_mass
from engine.training.similarity import bundle_similarities


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
    ours = bundle_similarities(pooled.embedding, local)
    theirs = bundle_similarities(inputs.mean_pool[rows], local)

    loss = bundle_loss(ours, theirs, batch.real, batch.tier, settings).mean()
    loss = loss + settings.entropy_weight * entropy_floor(pooled.attention, offsets, settings.min_entropy).mean()
    if inputs.on_target is not None:
        on_target = inputs.on_target[places]
        loss = loss + settings.target_penalty * target_mass(pooled.attention, on_target, offsets).mean()
    gap = ours.positive - hard_negative(ours.negatives, batch.real, settings.hard_negative_top_k)
    return BatchLoss(loss, _watched(gap.detach(), batch.tier))


def _watched(gap: Tensor, tier: Tensor) -> Tensor:
    """Counts for the guardrails; in an edition without tiers every bundle is watched, else the hard ones."""
    hard = is_hard(tier) | (tier < 0)
    kinds = torch.bincount(torch.where(tier < 0, len(TIERS), tier), minlength=len(TIERS) + 1)
    return torch.cat([torch.stack([hard.sum(), (hard & (gap < 0)).sum()]), kinds])
