"""Cosine similarities of bundles, from unit vectors."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from engine.training.bundle_arrays import BundleArrays


class BundleSimilarities(NamedTuple):
    """Similarities to the anchor: ``positive`` (B,), ``negatives`` (B, K); filled-up places hold the anchor's own."""

    positive: Tensor
    negatives: Tensor


def bundle_similarities(embedding: Tensor, bundles: BundleArrays) -> BundleSimilarities:
    """Similarities of ``bundles``, whose rows are rows of ``embedding`` (U, E), all of unit length."""
    anchor = embedding[bundles.anchor]  # (B, E)
    positive = (anchor * embedding[bundles.positive]).sum(-1)
    negatives = (embedding[bundles.negatives] @ anchor.unsqueeze(-1)).squeeze(-1)  # (B, K, E) @ (B, E, 1)
    return BundleSimilarities(positive, negatives)
