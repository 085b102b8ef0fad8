"""Validation on development data: the loss, and how a model ranks the right sentence among sibling sentences."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from engine.contract.events import BaselineScores, SetScores
from engine.contract.experiment import Training
from engine.encoder.token_states import TokenStates
from engine.model.embedding import embed_rows, mean_pool_of
from engine.model.head import Head
from engine.training.bundle_arrays import NO_TIER, TIER_NAMES, BundleArrays, sentence_direction
from engine.training.development import DevelopmentData, selection_score
from engine.training.losses import BundleSimilarities, bundle_loss, bundle_similarities, similarities


class Ranking(NamedTuple):
    """Ranking of each bundle's target among its sibling sentences; a tie loses.

    top1: share of bundles ranked right. margin: mean of target minus best sibling, in cosine similarity.
    tiers: top1 by tier name, of the tiers that occur.
    """

    top1: float
    margin: float
    tiers: dict[str, float]


class DevelopmentScores(NamedTuple):
    """Scores of one model on the development data: its ranking of the bundles, and its scores on each set."""

    ranking: Ranking
    sets: tuple[SetScores, ...]

    @property
    def selection(self) -> float:
        """The score by which the best measurement is chosen."""
        return selection_score(self.ranking.top1, self.sets)


class Baselines(NamedTuple):
    """Scores on the development data that need no training: of frozen mean pooling, and of ranking at random."""

    mean_pool: DevelopmentScores
    chance: BaselineScores


class Validation(NamedTuple):
    """A head's scores and loss on the development data, and the mean entropy / log T of its attention to the bundles."""

    scores: DevelopmentScores
    loss: float
    attention_entropy: float


def rank(embedding: Tensor, bundles: BundleArrays) -> Ranking:
    """Rank each bundle's sentence among its sibling sentences; ``embedding`` (U, E) has unit rows.

    A bundle without a sibling sentence is left out.
    """
    direction = sentence_direction(bundles)
    seen = similarities(embedding, direction)
    best = seen.negatives.masked_fill(~direction.mask, -1.0).amax(dim=1)  # (B,)
    ranked = direction.mask.any(dim=1)
    margins = (seen.positive - best)[ranked].double()
    right = (margins > 0).double()
    return Ranking(float(right.mean()), float(margins.mean()), _by_tier(right, bundles.tier[ranked]))


def _by_tier(values: Tensor, tier: Tensor) -> dict[str, float]:
    """The mean of ``values`` (n,) by tier name, of the tiers that occur; ``tier`` (n,) as in ``BundleArrays``."""
    return {
        name: float(values[tier == index].mean())
        for index, name in zip((0, 1, 2, NO_TIER), TIER_NAMES, strict=True)
        if bool((tier == index).any())
    }


def score(embedding: Tensor, data: DevelopmentData) -> DevelopmentScores:
    """Score the model with ``embedding`` (U, E) of the texts of ``data``, unit rows."""
    return DevelopmentScores(rank(embedding, data.bundles), data.set_scores(embedding))


def baselines_of(states: TokenStates, data: DevelopmentData) -> Baselines:
    """The baselines on ``data``, whose texts are rows of ``states``."""
    return Baselines(score(mean_pool_of(states, data.rows), data), chance_scores(data))


def chance_scores(data: DevelopmentData) -> BaselineScores:
    """Expected scores on ``data`` of a model that ranks at random; bundles are ranked as by ``rank``."""
    siblings = sentence_direction(data.bundles).mask.sum(dim=1)  # (B,)
    ranked = siblings > 0
    right = 1.0 / (1 + siblings[ranked]).double()
    top1, sets = float(right.mean()), tuple(one.chance() for one in data.sets)
    return BaselineScores(top1, _by_tier(right, data.bundles.tier[ranked]), selection_score(top1, sets), sets)


def validate(
    head: Head, states: TokenStates, frozen: BundleSimilarities, data: DevelopmentData, settings: Training
) -> Validation:
    """Measure ``head`` (no dropout) on development data; ``frozen`` are of its bundles."""
    embedding, entropy = embed_rows(head, states, data.rows)  # (U, E), (U,)
    loss = bundle_loss(bundle_similarities(embedding, data.bundles), frozen, data.bundles, settings)
    return Validation(score(embedding, data), float(loss.mean()), float(entropy[data.bundle_texts].mean()))
