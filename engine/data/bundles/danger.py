"""Danger of bundles under frozen mean pooling, and the tiers cut from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from engine.contract.experiment import ADVERSARIAL, EASY, ROBUST, Tier
from engine.data.bundles.encoder_text import EmbeddedTexts, encoder_text_of
from engine.data.records import Bundle

TIER2_FROM, TIER3_FROM = 0.85, 0.97
"""Ranks, as shares of all bundles, at which tier 2 and tier 3 begin."""
_DIGITS = 5


def dangers(
    anchors: Sequence[str], positives: Sequence[Sequence[str]], negatives: Sequence[Sequence[str]], texts: EmbeddedTexts
) -> NDArray[np.float64]:
    """max sim(anchor, negatives) - max sim(anchor, positives) for each anchor, rounded; shape (anchors,).

    Above 0 frozen mean pooling ranks a negative before every positive.

    Raises:
        ValueError: an anchor has no positive or no negative.
    """
    return rounded(texts.nearest(anchors, negatives) - texts.nearest(anchors, positives))


def with_danger(bundles: Sequence[Bundle], texts: EmbeddedTexts) -> tuple[Bundle, ...]:
    """The bundles with their danger, and their anchors' similarities to the cross-lemma negatives."""
    anchors = [encoder_text_of(bundle.anchor) for bundle in bundles]
    negatives = [[encoder_text_of(event) for event in (*b.siblings, *b.cross_lemma)] for b in bundles]
    danger = dangers(anchors, [[encoder_text_of(bundle.positive)] for bundle in bundles], negatives, texts)
    near = texts.to_each(anchors, [[encoder_text_of(event) for event in bundle.cross_lemma] for bundle in bundles])
    return tuple(
        structs.replace(bundle, danger=float(value), similarities=tuple(rounded(row).tolist()))
        for bundle, value, row in zip(bundles, danger, near, strict=True)
    )


def with_tiers_by_rank(bundles: Sequence[Bundle]) -> tuple[Bundle, ...]:
    """The bundles with tiers by their rank of danger among all; those that have a tier keep it."""
    tiers = tiers_by_rank(np.array([bundle.danger for bundle in bundles]))
    return tuple(structs.replace(bundle, tier=bundle.tier or tier) for bundle, tier in zip(bundles, tiers, strict=True))


def rounded(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Similarities to five digits, so that the last bit of a matrix product never decides a tier or an order."""
    return np.asarray(np.round(values.astype(np.float64), _DIGITS), dtype=np.float64)


def tiers_by_rank(danger: NDArray[np.float64]) -> tuple[Tier, ...]:
    """The tier of each bundle by its rank of danger: 85% easy, 12% robust, 3% adversarial; ties in their order."""
    count = len(danger)
    ranks = np.empty(count, dtype=np.int64)
    ranks[np.argsort(danger, kind="stable")] = np.arange(count)
    easy, robust = round(TIER2_FROM * count), round(TIER3_FROM * count)
    return tuple(EASY if rank < easy else ROBUST if rank < robust else ADVERSARIAL for rank in ranks)


def tier_cuts(bundles: Sequence[Bundle]) -> tuple[float, float]:
    """The least danger of tier 2 and of tier 3 by rank; the greatest danger where a tier is empty."""
    ordered = sorted(bundle.danger for bundle in bundles)
    at2, at3 = (ordered[min(len(ordered) - 1, round(share * len(ordered)))] for share in (TIER2_FROM, TIER3_FROM))
    return at2, at3


def tier_by_cuts(danger: float, cuts: tuple[float, float]) -> Tier:
    """The tier on a fixed scale; ``cuts`` are the least dangers of tier 2 and of tier 3."""
    return ADVERSARIAL if danger >= cuts[1] else ROBUST if danger >= cuts[0] else EASY
