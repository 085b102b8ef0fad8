"""Bundles as integer arrays over a table of texts, and what is compared with what in each bundle.

A bundle's positive is often a definition while its siblings are mostly sentences. A model that ranks one among the
others learns to tell definitions from sentences, and forgets senses. So like is compared with like: a definition with
definitions, a sentence with sentences, in both directions, from anchor to positive and from positive to anchor. And all
within one lemma: on development lemmas, negatives of other lemmas cost four points of coherence and gained retrieval little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from engine.contract.experiment import TIERS
from engine.data.bundles.encoder_text import encoder_text_of
from engine.data.records import Bundle, UsageEvent
from engine.encoder.token_states import TokenStates

NO_TIER = -1
TIER_NAMES = (*TIERS, "untiered")


class BundleArrays(NamedTuple):
    """n bundles with up to K siblings each; texts are rows of a ``TokenStates`` table.

    anchor, positive: (n,) int64. siblings: (n, K) int64, padded with the anchor's own row.
    sibling_mask: (n, K) bool, False where padded. tier: (n,) int64, index in ``TIERS`` or -1.
    anchor_gloss, positive_gloss: (n,) bool, sibling_gloss: (n, K) bool: the text is a definition, not a sentence.
    """

    anchor: Tensor
    positive: Tensor
    siblings: Tensor
    sibling_mask: Tensor
    tier: Tensor
    anchor_gloss: Tensor
    positive_gloss: Tensor
    sibling_gloss: Tensor

    @classmethod
    def from_bundles(cls, bundles: Sequence[Bundle], states: TokenStates) -> Self:
        """Look up the texts of ``bundles`` in ``states``; cross-lemma negatives are left out.

        Raises:
            KeyError: a text is not in the table.
        """
        most = max((len(bundle.siblings) for bundle in bundles), default=0)
        anchors = states.rows([encoder_text_of(bundle.anchor) for bundle in bundles]).cpu()
        siblings = anchors.repeat_interleave(most).view(len(bundles), most)
        mask, gloss = torch.zeros(2, len(bundles), most, dtype=torch.bool)
        for index, bundle in enumerate(bundles):
            count = len(bundle.siblings)
            siblings[index, :count] = torch.tensor([states.row(encoder_text_of(event)) for event in bundle.siblings])
            gloss[index, :count] = torch.tensor([event.source == "gloss" for event in bundle.siblings])
            mask[index, :count] = True
        arrays = cls(
            anchor=anchors,
            positive=states.rows([encoder_text_of(bundle.positive) for bundle in bundles]),
            siblings=siblings,
            sibling_mask=mask,
            tier=torch.tensor([tier_index(bundle.tier) for bundle in bundles], dtype=torch.int64),
            anchor_gloss=torch.tensor([bundle.anchor.source == "gloss" for bundle in bundles]),
            positive_gloss=torch.tensor([bundle.positive.source == "gloss" for bundle in bundles]),
            sibling_gloss=gloss,
        )
        return cls(*(array.to(states.device) for array in arrays))

    def select(self, indices: Tensor) -> BundleArrays:
        """The bundles at ``indices`` (B,)."""
        return BundleArrays(*(array[indices] for array in self))

    def unique_texts(self) -> tuple[Tensor, BundleArrays]:
        """The table rows (U,) of the texts in use, each once, and these bundles with indices into those rows."""
        rows = torch.cat([self.anchor, self.positive, self.siblings.reshape(-1)])
        unique, indices = torch.unique(rows, return_inverse=True)
        count = len(self.anchor)
        return unique, self._replace(
            anchor=indices[:count],
            positive=indices[count : 2 * count],
            siblings=indices[2 * count :].view(self.siblings.shape),
        )


def tier_index(tier: str | None) -> int:
    """The index of ``tier`` in ``TIERS``, or ``NO_TIER``."""
    return TIERS.index(tier) if tier in TIERS else NO_TIER


class Comparison(NamedTuple):
    """What is compared in one direction of B bundles: a query with its target and negatives, as rows of an embedding.

    query, target: (B,) int64. negatives: (B, K) int64. mask: (B, K) bool, the negatives of the target's own kind.
    """

    query: Tensor
    target: Tensor
    negatives: Tensor
    mask: Tensor


def both_directions(bundles: BundleArrays) -> tuple[Comparison, Comparison]:
    """The comparisons from anchor to positive, and from positive to anchor."""
    forward = bundles.sibling_mask & (bundles.sibling_gloss == bundles.positive_gloss.unsqueeze(1))
    backward = bundles.sibling_mask & (bundles.sibling_gloss == bundles.anchor_gloss.unsqueeze(1))
    return (
        Comparison(bundles.anchor, bundles.positive, bundles.siblings, forward),
        Comparison(bundles.positive, bundles.anchor, bundles.siblings, backward),
    )


def sentence_direction(bundles: BundleArrays) -> Comparison:
    """The direction whose target is a sentence, as in retrieval: from the positive where that is a definition."""
    backward = bundles.positive_gloss
    target_gloss = torch.where(backward, bundles.anchor_gloss, bundles.positive_gloss)
    return Comparison(
        torch.where(backward, bundles.positive, bundles.anchor),
        torch.where(backward, bundles.anchor, bundles.positive),
        bundles.siblings,
        bundles.sibling_mask & (bundles.sibling_gloss == target_gloss.unsqueeze(1)),
    )


def on_target_word(characters: Tensor, event: UsageEvent) -> Tensor:
    """Which of a text's tokens overlap its target word: spans (T, 2) -> (T,) bool. A gloss has none."""
    starts, ends = characters.unbind(1)
    return (ends > starts) & (event.end > event.start) & (starts < event.end) & (ends > event.start)


def target_word_tokens(bundles: Iterable[Bundle], states: TokenStates) -> Tensor:
    """(N,) bool over the whole table: the token is part of a target word of some event with that text."""
    marked = torch.zeros(len(states.characters), dtype=torch.bool)
    for bundle in bundles:
        for event in (bundle.anchor, bundle.positive, *bundle.siblings, *bundle.cross_lemma):
            if event.source != "gloss":
                start, end = states.span(encoder_text_of(event))
                marked[start:end] |= on_target_word(states.characters[start:end], event)
    return marked.to(states.device)
