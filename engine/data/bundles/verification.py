"""Verifies synthetic contexts: near to the example they were made from, and nearer to it than to any sibling sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.contract.experiment import Verification
from engine.data.bundles.danger import rounded
from engine.data.bundles.encoder_text import EmbeddedTexts
from engine.data.bundles.synthetic import Synthetic
from engine.data.records import Rejected


class Claim(Struct, frozen=True):
    """A synthetic context, and one or more texts, as the encoder reads them, that show its sibling senses."""

    synthetic: Synthetic
    siblings: tuple[str, ...]


class Verified(NamedTuple):
    """The synthetic contexts that hold, and the others with their reasons; both in the order of the claims."""

    accepted: tuple[Synthetic, ...]
    rejected: tuple[Rejected, ...]


def verify(claims: Sequence[Claim], texts: EmbeddedTexts, thresholds: Verification) -> Verified:
    """Verify each claim.

    A claim holds if its text's similarity to the original (an example of the same synset) is at least
    ``least_similarity``, and above its similarity to the nearest text of a sibling sense by at least ``least_gap``.
    """
    names = [claim.synthetic.event.text for claim in claims]
    similarity = texts.similarities(names, [claim.synthetic.original for claim in claims])
    gap = similarity - _nearest(names, [claim.siblings for claim in claims], texts)
    accepted: list[Synthetic] = []
    rejected: list[Rejected] = []
    for claim, near, apart in zip(claims, rounded(similarity).tolist(), rounded(gap).tolist(), strict=True):
        made = claim.synthetic
        if near < thresholds.least_similarity:
            rejected.append(Rejected(made.event, made.original, "too far from its original", near, apart))
        elif apart < thresholds.least_gap:
            rejected.append(Rejected(made.event, made.original, "too near to a sibling sense", near, apart))
        else:
            accepted.append(made)
    return Verified(tuple(accepted), tuple(rejected))


def _nearest(names: Sequence[str], others: Sequence[Sequence[str]], texts: EmbeddedTexts) -> NDArray[np.float32]:
    """The greatest similarity of each name to its others, each of which has one or more; shape (names,)."""
    if not names:
        return np.empty(0, dtype=np.float32)
    repeated = [name for name, row in zip(names, others, strict=True) for _ in row]
    similarity = texts.similarities(repeated, [text for row in others for text in row])
    starts = np.concatenate(([0], np.cumsum([len(row) for row in others])[:-1])).astype(np.int64)
    return np.asarray(np.maximum.reduceat(similarity, starts))
