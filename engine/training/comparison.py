"""What is compared with what in a bundle: a query, its target, and negatives of the target's own kind.

A bundle's positive is often a definition while its siblings are mostly sentences. A model that ranks one among the
others learns to tell definitions from sentences, and forgets senses. So like is compared with like: a definition with
definitions, a sentence with sentences, in both directions, from anchor to positive and from positive to anchor. And all
within one lemma: on development lemmas, negatives of other lemmas cost four points of coherence and gained retrieval little.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from engine.training.bundle_arrays import BundleArrays


class Comparison(NamedTuple):
    """query, target: (B,) int64 places among embeddings. negatives: (B, K) int64. comparable: (B, K) bool."""

    query: Tensor
    target: Tensor
    negatives: Tensor
    comparable: Tensor


class Similarities(NamedTuple):
    """Cosines with the query: ``positive`` (B,) of the target, ``negatives`` (B, K)."""

    positive: Tensor
    negatives: Tensor


def both_ways(bundles: BundleArrays) -> tuple[Comparison, Comparison]:
    """From anchor to positive, and from positive to anchor."""
    forward = bundles.real & (bundles.sibling_gloss == bundles.positive_gloss.unsqueeze(1))
    backward = bundles.real & (bundles.sibling_gloss == bundles.anchor_gloss.unsqueeze(1))
    return (
        Comparison(bundles.anchor, bundles.positive, bundles.siblings, forward),
        Comparison(bundles.positive, bundles.anchor, bundles.siblings, backward),
    )


def among_sentences(bundles: BundleArrays) -> Comparison:
    """The direction whose target is a sentence, as in retrieval: from the positive where that is a definition."""
    backward = bundles.positive_gloss
    target_gloss = torch.where(backward, bundles.anchor_gloss, bundles.positive_gloss)
    return Comparison(
        torch.where(backward, bundles.positive, bundles.anchor),
        torch.where(backward, bundles.anchor, bundles.positive),
        bundles.siblings,
        bundles.real & (bundles.sibling_gloss == target_gloss.unsqueeze(1)),
    )


def similarities(embedding: Tensor, comparison: Comparison) -> Similarities:
    """Similarities under ``embedding`` (U, E), whose rows have unit length."""
    query = embedding[comparison.query]  # (B, E)
    positive = (query * embedding[comparison.target]).sum(-1)
    negatives = (embedding[comparison.negatives] @ query.unsqueeze(-1)).squeeze(-1)  # (B, K, E) @ (B, E, 1)
    return Similarities(positive, negatives)
