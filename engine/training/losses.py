"""The parts of the training loss: pure functions of similarities, each per bundle or per text.

Shapes: ``positive`` (B,), ``negatives`` (B, K), ``real`` (B, K) bool marks the negatives that count.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.contract.experiment import TIERS, Training
from engine.model.ragged import segment_entropy, segment_sum
from engine.training.comparison import Similarities

ROBUST, ADVERSARIAL = (TIERS.index(tier) for tier in ("tier2_robust", "tier3_adversarial"))
HARD_NEGATIVE_TEMPERATURE = 0.1


def contrastive(positive: Tensor, negatives: Tensor, real: Tensor, temperature: float) -> Tensor:
    """InfoNCE of each bundle against its own negatives only (van den Oord et al. 2018, eq. 4): -> (B,)."""
    logits = torch.cat([positive.unsqueeze(1), negatives.masked_fill(~real, float("-inf"))], dim=1) / temperature
    return torch.logsumexp(logits, dim=1) - logits[:, 0]


def hard_negative(negatives: Tensor, real: Tensor, top_k: int) -> Tensor:
    """Mean similarity of the ``top_k`` nearest negatives, weighted by softmax(similarity / 0.1): -> (B,).

    A bundle without negatives gets -1, the least similarity there is.
    """
    if negatives.shape[1] == 0:
        return torch.full_like(negatives[:, :0].sum(1), -1.0)
    nearest = negatives.masked_fill(~real, -1.0).topk(min(top_k, negatives.shape[1]), dim=1).values
    there = real.sum(1, keepdim=True) > torch.arange(nearest.shape[1], device=real.device)
    logits = (nearest / HARD_NEGATIVE_TEMPERATURE).masked_fill(~there, -1e9)
    weighted = (torch.softmax(logits, dim=1) * nearest).sum(1)
    return torch.where(there[:, 0], weighted, torch.full_like(weighted, -1.0))


def is_hard(tier: Tensor) -> Tensor:
    """Which bundles are of a hard tier (robust or adversarial); without a tier they are easy: (B,) -> (B,) bool."""
    return (tier == ROBUST) | (tier == ADVERSARIAL)


def slack(positive: Tensor, hard: Tensor, hard_tier: Tensor, settings: Training) -> Tensor:
    """relu(margin - (positive - hard negative)), with the margin and the multiplier of the bundle's tier: -> (B,)."""
    margin = torch.where(hard_tier, settings.margin_hard, settings.margin_easy)
    multiplier = torch.where(hard_tier, settings.hard_negative_multiplier, 1.0)
    return multiplier * F.relu(margin - (positive - hard))


def entropy_floor(attention: Tensor, offsets: Tensor, least: float) -> Tensor:
    """relu(least - entropy) of each text's attention, in nats: (N,) -> (texts,)."""
    return F.relu(least - segment_entropy(attention, offsets))


def pull(ours: Similarities, mean_pool: Similarities, real: Tensor) -> Tensor:
    """Mean squared difference from mean pooling's similarities, over the positive and real negatives: -> (B,)."""
    squares = ((ours.negatives - mean_pool.negatives) ** 2 * real).sum(1)
    return ((ours.positive - mean_pool.positive) ** 2 + squares) / (1 + real.sum(1))


def target_mass(attention: Tensor, on_target: Tensor, offsets: Tensor) -> Tensor:
    """Attention on the target word's tokens: (N,), (N,) bool -> (texts,)."""
    return segment_sum(attention * on_target, offsets)


def comparison_loss(
    ours: Similarities, mean_pool: Similarities, real: Tensor, tier: Tensor, settings: Training
) -> Tensor:
    """Contrastive + weighted slack + pull to mean pooling of each bundle; 0 where no negative counts: -> (B,)."""
    hard = hard_negative(ours.negatives, real, settings.hard_negative_top_k)
    loss = (
        contrastive(ours.positive, ours.negatives, real, settings.temperature)
        + settings.slack_weight * slack(ours.positive, hard, is_hard(tier), settings)
        + settings.pull_weight * pull(ours, mean_pool, real)
    )
    return loss * real.any(dim=1)
