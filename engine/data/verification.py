"""Verifies synthetic contexts: near to the example they were made from, and nearer to it than to any sibling sense."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.data.embedded_texts import EmbeddedTexts
from engine.data.synthetic import Synthetic

LEAST_SIMILARITY, LEAST_GAP = 0.5, 0.05


class Claim(Struct, frozen=True):
    """A synthetic context, and one or more texts that show its sibling senses."""

    synthetic: Synthetic
    siblings: tuple[str, ...]


def verified(claims: Sequence[Claim], texts: EmbeddedTexts, refused: Counter[str]) -> tuple[Claim, ...]:
    """The claims that hold, in order; ``refused`` counts the others by reason.

    A claim holds if its text's similarity to the original (an example of the same synset) is at least
    ``LEAST_SIMILARITY``, and above its similarity to the nearest text of a sibling sense by at least ``LEAST_GAP``.
    """
    names = [claim.synthetic.event.text for claim in claims]
    similarity = texts.similarities(names, [claim.synthetic.original for claim in claims])
    gap = similarity - _nearest(names, [claim.siblings for claim in claims], texts)
    kept: list[Claim] = []
    for claim, near, apart in zip(claims, np.round(similarity, 5), np.round(gap, 5), strict=True):
        if near < LEAST_SIMILARITY:
            refused["too far from its original"] += 1
        elif apart < LEAST_GAP:
            refused["too near to a sibling sense"] += 1
        else:
            kept.append(claim)
    return tuple(kept)


def _nearest(names: Sequence[str], others: Sequence[Sequence[str]], texts: EmbeddedTexts) -> NDArray[np.float32]:
    """The greatest similarity of each name to its others, each of which has one or more; shape (names,)."""
    if not names:
        return np.empty(0, dtype=np.float32)
    repeated = [name for name, row in zip(names, others, strict=True) for _ in row]
    similarity = texts.similarities(repeated, [text for row in others for text in row])
    starts = np.concatenate(([0], np.cumsum([len(row) for row in others])[:-1])).astype(np.int64)
    return np.asarray(np.maximum.reduceat(similarity, starts))
