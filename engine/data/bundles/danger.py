"""Danger of bundles under frozen mean pooling, and the tiers.

A bundle's danger counts all its negatives. Its tier counts only the siblings that the training loss compares
(see ``training/bundle_arrays.py``): the nearest negative of another lemma, which the loss never reads, decides the danger
of nine bundles in ten, and tiers by that danger had little to do with what a head finds hard.
"""

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
ADVERSARIAL_FROM = 0.80
"""Rank from which negatives without a bundle's hardest one count as adversarial; few bundles of tier 2 have two so hard."""
_DIGITS = 5
LEAST_DANGER = -2.0


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


def sibling_dangers(bundles: Sequence[Bundle], texts: EmbeddedTexts) -> list[NDArray[np.float64]]:
    """The danger that each sibling is to the training loss; an array (siblings,) for each bundle, rounded.

    The loss compares like with like: a sibling of the positive's kind, gloss or sentence, with the anchor, one of the
    anchor's kind with the positive. The danger is that similarity, the greater where it is compared with both, less
    sim(anchor, positive); -2, the least there is, where it is compared with neither.
    """
    anchors = [encoder_text_of(bundle.anchor) for bundle in bundles]
    positives = [encoder_text_of(bundle.positive) for bundle in bundles]
    siblings = [[encoder_text_of(event) for event in bundle.siblings] for bundle in bundles]
    near = zip(texts.to_each(anchors, siblings), texts.to_each(positives, siblings), strict=True)
    found: list[NDArray[np.float64]] = []
    for bundle, (to_anchor, to_positive), target in zip(
        bundles, near, texts.similarities(anchors, positives), strict=True
    ):
        gloss = np.array([event.source == "gloss" for event in bundle.siblings], dtype=bool)
        forward = np.where(gloss == (bundle.positive.source == "gloss"), to_anchor - target, LEAST_DANGER)
        backward = np.where(gloss == (bundle.anchor.source == "gloss"), to_positive - target, LEAST_DANGER)
        found.append(rounded(np.maximum(forward, backward)))
    return found


def compared_dangers(bundles: Sequence[Bundle], texts: EmbeddedTexts) -> NDArray[np.float64]:
    """The greatest of each bundle's ``sibling_dangers``, -2 without any; shape (bundles,)."""
    return np.array([row.max(initial=LEAST_DANGER) for row in sibling_dangers(bundles, texts)], dtype=np.float64)


def with_tiers_by_rank(bundles: Sequence[Bundle], compared: NDArray[np.float64]) -> tuple[Bundle, ...]:
    """The bundles with tiers by rank of their ``compared_dangers`` (bundles,); those that have a tier keep it."""
    tiers = tiers_by_rank(compared)
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


def tier_cuts(danger: NDArray[np.float64]) -> tuple[float, float]:
    """The least danger of tier 2 and of tier 3 by rank; the greatest danger where a tier is empty."""
    return danger_at(danger, TIER2_FROM), danger_at(danger, TIER3_FROM)


def danger_at(danger: NDArray[np.float64], share: float) -> float:
    """The danger of the bundle at rank ``share`` (0 to 1) of all, the least dangerous first."""
    return float(np.sort(danger)[min(len(danger) - 1, round(share * len(danger)))])


def tier_by_cuts(danger: float, cuts: tuple[float, float]) -> Tier:
    """The tier on a fixed scale; ``cuts`` are the least dangers of tier 2 and of tier 3."""
    return ADVERSARIAL if danger >= cuts[1] else ROBUST if danger >= cuts[0] else EASY
