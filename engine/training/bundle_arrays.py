"""Bundles as integer arrays over a table of texts: what a training step reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from engine.contract.experiment import TIERS
from engine.data.bundles.encoder_text import encoder_text_of
from engine.data.records import Bundle
from engine.encoder.token_states import TokenStates

NO_TIER = -1
TIER_NAMES = (*TIERS, "untiered")


class BundleArrays(NamedTuple):
    """n bundles with up to K negatives each; texts are rows of a ``TokenStates`` table.

    anchor, positive: (n,) int64. siblings: (n, K) int64, filled up with the anchor's own row.
    real: (n, K) bool, False where filled up. tier: (n,) int64, its place in ``TIERS`` or -1.
    anchor_gloss, positive_gloss: (n,) bool, sibling_gloss: (n, K) bool: the text is a definition, not a sentence.
    """

    anchor: Tensor
    positive: Tensor
    siblings: Tensor
    real: Tensor
    tier: Tensor
    anchor_gloss: Tensor
    positive_gloss: Tensor
    sibling_gloss: Tensor

    @classmethod
    def of(cls, bundles: Sequence[Bundle], states: TokenStates) -> Self:
        """Look up the texts of ``bundles`` in ``states``; cross-lemma negatives are left out (see ``comparison``).

        Raises:
            KeyError: a text is not in the table.
        """
        most = max((len(bundle.siblings) for bundle in bundles), default=0)
        anchors = states.rows([encoder_text_of(bundle.anchor) for bundle in bundles]).cpu()
        siblings = anchors.repeat_interleave(most).view(len(bundles), most)
        real, gloss = torch.zeros(2, len(bundles), most, dtype=torch.bool)
        for place, bundle in enumerate(bundles):
            count = len(bundle.siblings)
            siblings[place, :count] = torch.tensor([states.row(encoder_text_of(event)) for event in bundle.siblings])
            gloss[place, :count] = torch.tensor([event.source == "gloss" for event in bundle.siblings])
            real[place, :count] = True
        arrays = cls(
            anchor=anchors,
            positive=states.rows([encoder_text_of(bundle.positive) for bundle in bundles]),
            siblings=siblings,
            real=real,
            tier=torch.tensor([tier_index(bundle.tier) for bundle in bundles], dtype=torch.int64),
            anchor_gloss=torch.tensor([bundle.anchor.source == "gloss" for bundle in bundles]),
            positive_gloss=torch.tensor([bundle.positive.source == "gloss" for bundle in bundles]),
            sibling_gloss=gloss,
        )
        return cls(*(array.to(states.device) for array in arrays))

    def take(self, chosen: Tensor) -> BundleArrays:
        """The bundles at the places ``chosen`` (B,)."""
        return BundleArrays(*(array[chosen] for array in self))

    def unique_texts(self) -> tuple[Tensor, BundleArrays]:
        """The rows of the texts in use, each once, and these bundles with rows replaced by places among them."""
        rows = torch.cat([self.anchor, self.positive, self.siblings.reshape(-1)])
        unique, places = torch.unique(rows, return_inverse=True)
        count = len(self.anchor)
        return unique, self._replace(
            anchor=places[:count],
            positive=places[count : 2 * count],
            siblings=places[2 * count :].view(self.siblings.shape),
        )


def tier_index(tier: str | None) -> int:
    return TIERS.index(tier) if tier in TIERS else NO_TIER
