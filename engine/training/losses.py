"""The training loss: its parts as pure functions of similarities, and the loss of one batch put together.

Shapes: ``positive`` (B,), ``negatives`` (B, K), ``mask`` (B, K) bool marks the negatives that count.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from engine.contract.experiment import ADVERSARIAL, ROBUST, TIERS, Training
from engine.encoder.token_states import TokenStates
from engine.model.head import Head
from engine.model.ragged import segment_entropy, segment_sum
from engine.training.bundle_arrays import (
    BundleArrays,
    Comparison,
    both_directions,
    gloss_directions,
    sentence_direction,
)

HARD_TIERS = (TIERS.index(ROBUST), TIERS.index(ADVERSARIAL))
HARD_NEGATIVE_TEMPERATURE = 0.1


class TrainingData(NamedTuple):
    """What every step reads: token states, the head's frozen vectors of them (inputs, D), the bundles."""

    states: TokenStates
    frozen: Tensor
    bundles: BundleArrays


class BatchLoss(NamedTuple):
    """Loss of one batch, and counts for the guardrails.

    loss: () to minimize. counts: (2 + tiers + 1,) int64: hard pairs, those of them whose hard negative is nearer than
    the positive, and bundles by tier, the untiered last.
    """

    loss: Tensor
    counts: Tensor


class Similarities(NamedTuple):
    """Cosines with the query: ``positive`` (B,) of the target, ``negatives`` (B, K)."""

    positive: Tensor
    negatives: Tensor


class BundleSimilarities(NamedTuple):
    """Similarities of B bundles in each of the ``both_directions`` and of the ``gloss_directions``."""

    directions: tuple[Similarities, Similarities]
    gloss_directions: tuple[Similarities, Similarities]


def batch_loss(
    head: Head, data: TrainingData, indices: Tensor, settings: Training, dropout: Generator | None
) -> BatchLoss:
    """The loss of the bundles at ``indices`` (B,), averaged over bundles and, for the entropy floor, over texts."""
    # each text passes through the head once, however many bundles of the batch hold it
    rows, bundles = data.bundles.select(indices).unique_texts()  # (U,)
    # nothing of one step is read after the next begins, so their token states can share memory
    batch = data.states.gather(rows, tokens=head.needs_tokens, reuse=True)
    frozen = data.frozen[rows]  # (U, D)
    embedding, attention = head(batch, dropout, frozen)  # (U, E), (N,)

    cosines = bundle_similarities(embedding, bundles)
    loss = bundle_loss(cosines, bundle_similarities(frozen, bundles), bundles, settings).mean()
    loss = loss + settings.entropy_weight * entropy_floor(attention, batch.offsets, settings.min_entropy).mean()
    if settings.target_penalty:
        on_target = batch.on_target & ~batch.is_gloss.repeat_interleave(batch.offsets.diff())
        loss = loss + settings.target_penalty * target_mass(attention, on_target, batch.offsets).mean()
    return BatchLoss(loss, _guardrail_counts(cosines, bundles, settings.hard_negative_top_k))


def bundle_loss(
    head: BundleSimilarities, frozen: BundleSimilarities, bundles: BundleArrays, settings: Training
) -> Tensor:
    """The loss of each bundle, the mean of its two directions, plus that of its sense's gloss, if it has a weight: (B,)."""
    losses = [
        comparison_loss(of_head, of_frozen, direction.mask, bundles.tier, settings)
        for of_head, of_frozen, direction in zip(
            head.directions, frozen.directions, both_directions(bundles), strict=True
        )
    ]
    loss = torch.stack(losses).mean(dim=0)
    if settings.gloss_weight:
        loss = loss + settings.gloss_weight * gloss_loss(head, frozen, bundles, settings)
    return loss


def gloss_loss(
    head: BundleSimilarities, frozen: BundleSimilarities, bundles: BundleArrays, settings: Training
) -> Tensor:
    """Contrastive loss + pull between an anchor and the gloss of its sense, the mean of both ways: -> (B,).

    0 where the gloss, or anything to compare it with, is not known.
    """
    losses = []
    for of_head, of_frozen, direction in zip(
        head.gloss_directions, frozen.gloss_directions, gloss_directions(bundles), strict=True
    ):
        loss = contrastive(of_head.positive, of_head.negatives, direction.mask, settings.temperature)
        loss = loss + settings.pull_weight * pull(of_head, of_frozen, direction.mask)
        losses.append(loss * direction.mask.any(dim=1))
    return torch.stack(losses).mean(dim=0)


def comparison_loss(head: Similarities, frozen: Similarities, mask: Tensor, tier: Tensor, settings: Training) -> Tensor:
    """Contrastive + weighted slack + pull to the frozen vectors of each bundle; 0 where no negative counts: -> (B,)."""
    hard = hard_negative(head.negatives, mask, settings.hard_negative_top_k)
    loss = (
        contrastive(head.positive, head.negatives, mask, settings.temperature)
        + settings.slack_weight * slack(head.positive, hard, is_hard(tier), settings)
        + settings.pull_weight * pull(head, frozen, mask)
    )
    return loss * mask.any(dim=1)


def similarities(embedding: Tensor, comparison: Comparison) -> Similarities:
    """Similarities under ``embedding`` (U, E), whose rows have unit length."""
    query = embedding[comparison.query]  # (B, E)
    compared = embedding[torch.cat([comparison.target.unsqueeze(1), comparison.negatives], dim=1)]  # (B, 1 + K, E)
    # a sum for each pair, not a matrix product, which may round equal rows differently: the same text then ties exactly
    cosines = (compared * query.unsqueeze(1)).sum(-1)
    return Similarities(cosines[:, 0], cosines[:, 1:])


def bundle_similarities(embedding: Tensor, bundles: BundleArrays) -> BundleSimilarities:
    """What ``similarities`` gives for every direction of ``bundles``, under ``embedding`` (U, E) of unit rows."""
    # one gather and one product: the directions share their texts, and gathering costs more than the arithmetic
    texts = torch.cat(
        [torch.stack([bundles.anchor, bundles.positive, bundles.sense], dim=1), bundles.siblings, bundles.other_senses],
        dim=1,
    )  # (B, 3 + K + G)
    vectors = embedding[texts]  # (B, 3 + K + G, E)
    cosines = torch.bmm(vectors, vectors[:, :3].transpose(1, 2))  # (B, 3 + K + G, 3)
    others_from = 3 + bundles.siblings.shape[1]
    siblings, others = cosines[:, 3:others_from], cosines[:, others_from:]
    positive, sense = cosines[:, 1, 0], cosines[:, 2, 0]
    return BundleSimilarities(
        (Similarities(positive, siblings[:, :, 0]), Similarities(positive, siblings[:, :, 1])),
        (Similarities(sense, others[:, :, 0]), Similarities(sense, siblings[:, :, 2])),
    )


def contrastive(positive: Tensor, negatives: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """InfoNCE of each bundle against its own negatives only (van den Oord et al. 2018, eq. 4): -> (B,)."""
    logits = torch.cat([positive.unsqueeze(1), negatives.masked_fill(~mask, float("-inf"))], dim=1) / temperature
    return torch.logsumexp(logits, dim=1) - logits[:, 0]


def hard_negative(negatives: Tensor, mask: Tensor, top_k: int) -> Tensor:
    """Mean similarity of the ``top_k`` nearest negatives, weighted by softmax(similarity / 0.1): -> (B,).

    A bundle without negatives gets -1, the least similarity there is.
    """
    if negatives.shape[1] == 0:
        return torch.full_like(negatives[:, :0].sum(1), -1.0)
    nearest = negatives.masked_fill(~mask, -1.0).topk(min(top_k, negatives.shape[1]), dim=1).values
    counts = mask.sum(1, keepdim=True) > torch.arange(nearest.shape[1], device=mask.device)
    logits = (nearest / HARD_NEGATIVE_TEMPERATURE).masked_fill(~counts, -1e9)
    weighted = (torch.softmax(logits, dim=1) * nearest).sum(1)
    return torch.where(counts[:, 0], weighted, torch.full_like(weighted, -1.0))


def is_hard(tier: Tensor) -> Tensor:
    """Which bundles are of a hard tier (robust or adversarial); without a tier they are easy: (B,) -> (B,) bool."""
    return (tier == HARD_TIERS[0]) | (tier == HARD_TIERS[1])


def slack(positive: Tensor, hard: Tensor, hard_tier: Tensor, settings: Training) -> Tensor:
    """relu(margin - (positive - hard negative)), with the margin and the multiplier of the bundle's tier: -> (B,)."""
    margin = torch.where(hard_tier, settings.margin_hard, settings.margin_easy)
    multiplier = torch.where(hard_tier, settings.hard_negative_multiplier, 1.0)
    return multiplier * F.relu(margin - (positive - hard))


def pull(head: Similarities, frozen: Similarities, mask: Tensor) -> Tensor:
    """Mean squared difference from the frozen similarities, over the positive and the negatives that count: -> (B,)."""
    squares = ((head.negatives - frozen.negatives) ** 2 * mask).sum(1)
    return ((head.positive - frozen.positive) ** 2 + squares) / (1 + mask.sum(1))


def entropy_floor(attention: Tensor, offsets: Tensor, minimum: float) -> Tensor:
    """relu(minimum - entropy) of each text's attention, in nats: (N,) -> (texts,)."""
    return F.relu(minimum - segment_entropy(attention, offsets))


def target_mass(attention: Tensor, on_target: Tensor, offsets: Tensor) -> Tensor:
    """Attention on the target word's tokens: (N,), (N,) bool -> (texts,)."""
    return segment_sum(attention * on_target, offsets)


def _guardrail_counts(cosines: BundleSimilarities, bundles: BundleArrays, top_k: int) -> Tensor:
    """The counts of ``BatchLoss``; in an edition without tiers every bundle counts as hard."""
    forward, backward = cosines.directions
    mask = sentence_direction(bundles).mask
    negatives = torch.where(bundles.positive_gloss.unsqueeze(1), backward.negatives, forward.negatives).detach()
    gap = forward.positive.detach() - hard_negative(negatives, mask, top_k)
    hard = (is_hard(bundles.tier) | (bundles.tier < 0)) & mask.any(dim=1)
    tiers = torch.bincount(torch.where(bundles.tier < 0, len(TIERS), bundles.tier), minlength=len(TIERS) + 1)
    return torch.cat([torch.stack([hard.sum(), (hard & (gap < 0)).sum()]), tiers])
