"""Bundles as integer arrays over a table of texts, and what is compared with what in each bundle.

A bundle's positive is often a definition while its siblings are mostly sentences. A model that ranks one among the
others learns to tell definitions from sentences, and forgets senses. So like is compared with like: a definition with
definitions, a sentence with sentences, in both directions, from anchor to positive and from positive to anchor. And all
within one lemma: on development lemmas, negatives of other lemmas cost four points of coherence and gained retrieval little.

Beside that a context is compared with the glosses of its lemma's senses (in its part of speech), and the gloss of its
sense with the sentences of the bundle, as a bi-encoder for word sense disambiguation is trained (Blevins and Zettlemoyer
2020).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from engine.contract.experiment import TIERS, SenseText
from engine.data.bundles.encoder_text import encoder_input_of
from engine.data.records import Bundle, Pos, UsageEvent
from engine.encoder.token_states import TokenStates

NO_TIER = -1
MAX_GLOSSES = 12
"""Glosses of other senses that a context is compared with; a lemma with more has those of its commonest senses."""
TIER_NAMES = (*TIERS, "untiered")


class BundleArrays(NamedTuple):
    """n bundles with up to K siblings each; texts are rows of a ``TokenStates`` table.

    anchor, positive: (n,) int64. siblings: (n, K) int64, padded with the anchor's own row.
    sibling_mask: (n, K) bool, False where padded. tier: (n,) int64, index in ``TIERS`` or -1.
    anchor_gloss, positive_gloss: (n,) bool, sibling_gloss: (n, K) bool: the text is a definition, not a sentence.
    sense: (n,) int64, the gloss of the anchor's sense; the anchor's own row where none is known.
    other_senses: (n, G) int64, the glosses of the lemma's other senses, padded with the anchor's own row.
    other_sense_mask: (n, G) bool, False where padded and where ``sense`` is not known.
    """

    anchor: Tensor
    positive: Tensor
    siblings: Tensor
    sibling_mask: Tensor
    tier: Tensor
    anchor_gloss: Tensor
    positive_gloss: Tensor
    sibling_gloss: Tensor
    sense: Tensor
    other_senses: Tensor
    other_sense_mask: Tensor

    @classmethod
    def from_bundles(
        cls, bundles: Sequence[Bundle], states: TokenStates, sense_text: SenseText, glosses: Iterable[UsageEvent] = ()
    ) -> Self:
        """Look up the texts of ``bundles`` in ``states``; cross-lemma negatives are left out.

        Args:
            sense_text: as which glosses were encoded.
            glosses: of the senses of the bundles' lemmas, each sense's one gloss.

        Raises:
            KeyError: a text is not in the table.
        """

        def row(event: UsageEvent) -> int:
            return states.row(encoder_input_of(event, sense_text))

        anchors = torch.tensor([row(bundle.anchor) for bundle in bundles], dtype=torch.int64)
        by_word: dict[tuple[str, Pos], dict[str, int]] = {}
        for event in glosses:
            by_word.setdefault((event.lemma, event.pos), {}).setdefault(event.sense_id, row(event))
        senses = [by_word.get((bundle.anchor.lemma, bundle.anchor.pos), {}) for bundle in bundles]
        own = [known.get(bundle.anchor.sense_id) for bundle, known in zip(bundles, senses, strict=True)]
        others = [
            [] if mine is None else [gloss for gloss in known.values() if gloss != mine][:MAX_GLOSSES]
            for mine, known in zip(own, senses, strict=True)
        ]
        siblings, mask = _padded([[row(event) for event in bundle.siblings] for bundle in bundles], anchors)
        other_senses, other_mask = _padded(others, anchors)
        gloss, _ = _padded([[int(event.source == "gloss") for event in b.siblings] for b in bundles], anchors * 0)
        arrays = cls(
            anchor=anchors,
            positive=torch.tensor([row(bundle.positive) for bundle in bundles], dtype=torch.int64),
            siblings=siblings,
            sibling_mask=mask,
            tier=torch.tensor([tier_index(bundle.tier) for bundle in bundles], dtype=torch.int64),
            anchor_gloss=torch.tensor([bundle.anchor.source == "gloss" for bundle in bundles]),
            positive_gloss=torch.tensor([bundle.positive.source == "gloss" for bundle in bundles]),
            sibling_gloss=gloss.bool(),
            sense=torch.tensor(
                [anchor if mine is None else mine for mine, anchor in zip(own, anchors.tolist(), strict=True)],
                dtype=torch.int64,
            ),
            other_senses=other_senses,
            other_sense_mask=other_mask,
        )
        return cls(*(array.to(states.device) for array in arrays))

    def select(self, indices: Tensor) -> BundleArrays:
        """The bundles at ``indices`` (B,)."""
        return BundleArrays(*(array[indices] for array in self))

    def unique_texts(self) -> tuple[Tensor, BundleArrays]:
        """The table rows (U,) of the texts in use, each once, and these bundles with indices into those rows."""
        of_texts = (self.anchor, self.positive, self.siblings, self.sense, self.other_senses)
        unique, indices = torch.unique(torch.cat([rows.reshape(-1) for rows in of_texts]), return_inverse=True)
        parts = indices.split([rows.numel() for rows in of_texts])
        anchor, positive, siblings, sense, other_senses = (
            part.view(rows.shape) for part, rows in zip(parts, of_texts, strict=True)
        )
        return unique, self._replace(
            anchor=anchor, positive=positive, siblings=siblings, sense=sense, other_senses=other_senses
        )

    def reindexed(self, rows: Tensor) -> BundleArrays:
        """These bundles with row ``rows[index]`` in the place of each ``index``, of ``rows`` (U,)."""
        return self._replace(
            anchor=rows[self.anchor],
            positive=rows[self.positive],
            siblings=rows[self.siblings],
            sense=rows[self.sense],
            other_senses=rows[self.other_senses],
        )


def _padded(rows: Sequence[Sequence[int]], padding: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of different lengths as (n, K) int64, row ``i`` padded with ``padding[i]``; (n, K) bool, False where padded."""
    most = max(map(len, rows), default=0)
    values = padding.unsqueeze(1).repeat(1, most)
    mask = torch.zeros(len(rows), most, dtype=torch.bool)
    for index, row in enumerate(rows):
        values[index, : len(row)] = torch.tensor(row, dtype=torch.int64)
        mask[index, : len(row)] = True
    return values, mask


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


def gloss_directions(bundles: BundleArrays) -> tuple[Comparison, Comparison]:
    """The comparisons from the anchor to the gloss of its sense, and from that gloss to the anchor.

    The negatives are the glosses of the lemma's other senses, and the sibling sentences.
    """
    known = (bundles.sense != bundles.anchor).unsqueeze(1)
    return (
        Comparison(bundles.anchor, bundles.sense, bundles.other_senses, bundles.other_sense_mask & known),
        Comparison(
            bundles.sense, bundles.anchor, bundles.siblings, bundles.sibling_mask & ~bundles.sibling_gloss & known
        ),
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
