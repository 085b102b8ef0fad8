"""Danger, how likely frozen mean pooling ranks a negative above the positive, and the tiers cut from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.contract.experiment import TIERS, Tier
from engine.data.bundles.encoder_text import EmbeddedTexts

TIER2_FROM, TIER3_FROM = 0.85, 0.97
_DIGITS = 5


def dangers(
    anchors: Sequence[str], positives: Sequence[Sequence[str]], negatives: Sequence[Sequence[str]], texts: EmbeddedTexts
) -> NDArray[np.float64]:
    """max sim(anchor, negatives) - max sim(anchor, positives), for each anchor; shape (anchors,).

    Rounded as ``rounded`` says. Every anchor needs at least one positive and one negative.
    """
    return rounded(_best(anchors, negatives, texts) - _best(anchors, positives, texts))


def rounded(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Similarities to five digits, so that the last bit of a matrix product decides nothing."""
    return np.asarray(np.round(values.astype(np.float64), _DIGITS), dtype=np.float64)


def _best(anchors: Sequence[str], others: Sequence[Sequence[str]], texts: EmbeddedTexts) -> NDArray[np.float32]:
    counts = np.array([len(row) for row in others], dtype=np.int64)
    if not len(counts):
        return np.empty(0, dtype=np.float32)
    if counts.min() == 0:
        raise ValueError("danger needs at least one positive and one negative for every anchor")
    repeated = [anchor for anchor, row in zip(anchors, others, strict=True) for _ in row]
    flat = [text for row in others for text in row]
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return np.asarray(np.maximum.reduceat(texts.similarities(repeated, flat), starts))


def tiers_of(danger: NDArray[np.float64]) -> tuple[Tier, ...]:
    """The tier of each: 85% easy, 12% robust, 3% adversarial, by rank of danger, ties by place; any count adds up."""
    count = len(danger)
    ranks = np.empty(count, dtype=np.int64)
    ranks[np.argsort(danger, kind="stable")] = np.arange(count)
    easy, robust = round(TIER2_FROM * count), round(TIER3_FROM * count)
    return tuple(TIERS[0] if rank < easy else TIERS[1] if rank < robust else TIERS[2] for rank in ranks)


def cuts_of(danger: NDArray[np.float64]) -> tuple[float, float]:
    """The least danger of tier 2 and of tier 3, by rank; where there are too few for a share, the greatest."""
    ordered = np.sort(danger)
    at2, at3 = (ordered[min(len(ordered) - 1, round(share * len(ordered)))] for share in (TIER2_FROM, TIER3_FROM))
    return float(at2), float(at3)


def tier_by_cuts(danger: float, cuts: tuple[float, float]) -> Tier:
    """The tier on a fixed scale: ``cuts`` are the least dangers of tier 2 and of tier 3."""
    return TIERS[2] if danger >= cuts[1] else TIERS[1] if danger >= cuts[0] else TIERS[0]
