"""Bundles as integer arrays over a table of texts: what a training step reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from engine.contract.experiment import TIERS
from engine.data.records import Bundle
from engine.encoder.token_states import TokenStates

NO_TIER = -1
TIER_NAMES = (*TIERS, "untiered")


class BundleArrays(NamedTuple):
    """n bundles with up to K negatives each; texts are rows of a ``TokenStates`` table.

    anchor, positive: (n,) int64. negatives: (n, K) int64, siblings first, filled up with the anchor's own row.
    real: (n, K) bool, False where filled up. sibling: (n, K) bool. tier: (n,) int64, its place in ``TIERS`` or -1.
    """

    anchor: Tensor
    positive: Tensor
    negatives: Tensor
    real: Tensor
    sibling: Tensor
    tier: Tensor

    @classmethod
    def of(cls, bundles: Sequence[Bundle], states: TokenStates) -> Self:
        """Look up every text of ``bundles`` in ``states``.

        Raises:
            KeyError: a text is not in the table.
        """
        most = max((len(b.siblings) + len(b.cross_lemma) for b in bundles), default=0)
        anchors = [states.row(bundle.anchor.text) for bundle in bundles]
        negatives = torch.tensor(anchors, dtype=torch.int64).repeat_interleave(most).view(len(bundles), most)
        real = torch.zeros(len(bundles), most, dtype=torch.bool)
        sibling = torch.zeros(len(bundles), most, dtype=torch.bool)
        for place, bundle in enumerate(bundles):
            rows = [states.row(event.text) for event in (*bundle.siblings, *bundle.cross_lemma)]
            negatives[place, : len(rows)] = torch.tensor(rows, dtype=torch.int64)
            real[place, : len(rows)] = True
            sibling[place, : len(bundle.siblings)] = True
        device = states.device
        return cls(
            torch.tensor(anchors, dtype=torch.int64).to(device),
            states.rows([bundle.positive.text for bundle in bundles]),
            negatives.to(device),
            real.to(device),
            sibling.to(device),
            torch.tensor([tier_index(b.tier) for b in bundles], dtype=torch.int64).to(device),
        )

    def take(self, chosen: Tensor) -> BundleArrays:
        """The bundles at the places ``chosen`` (B,)."""
        return BundleArrays(*(array[chosen] for array in self))

    def unique_texts(self) -> tuple[Tensor, BundleArrays]:
        """The rows of the texts in use, each once, and these bundles with rows replaced by places among them."""
        rows = torch.cat([self.anchor, self.positive, self.negatives.reshape(-1)])
        unique, places = torch.unique(rows, return_inverse=True)
        count = len(self.anchor)
        return unique, self._replace(
            anchor=places[:count],
            positive=places[count : 2 * count],
            negatives=places[2 * count :].view(self.negatives.shape),
        )


def tier_index(tier: str | None) -> int:
    return TIERS.index(tier) if tier in TIERS else NO_TIER
