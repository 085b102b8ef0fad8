"""Verifies synthetic contexts: similar to the example they were made from, and less similar to every sibling sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from engine.contract.experiment import Verification
from engine.data.bundles.danger import rounded
from engine.data.bundles.encoder_text import EmbeddedTexts
from engine.data.bundles.synthetic import Synthetic
from engine.data.records import Rejected


class SyntheticCandidate(Struct, frozen=True):
    """A synthetic context to verify, and one or more encoder texts of its sibling senses."""

    synthetic: Synthetic
    siblings: tuple[str, ...]


class Verified(NamedTuple):
    """The accepted synthetic contexts, and the rejected ones with reasons; both in the order of the candidates."""

    accepted: tuple[Synthetic, ...]
    rejected: tuple[Rejected, ...]


def verify(candidates: Sequence[SyntheticCandidate], texts: EmbeddedTexts, thresholds: Verification) -> Verified:
    """Verify each candidate under frozen mean pooling.

    Accepted if its similarity to the original (an example of the same synset) is at least ``least_similarity``, and
    exceeds its similarity to the nearest text of a sibling sense by at least ``least_gap``.
    """
    contexts = [candidate.synthetic.event.text for candidate in candidates]
    similarity = texts.similarities(contexts, [candidate.synthetic.original for candidate in candidates])
    gaps = similarity - texts.nearest(contexts, [candidate.siblings for candidate in candidates])
    accepted: list[Synthetic] = []
    rejected: list[Rejected] = []
    for candidate, near, gap in zip(candidates, rounded(similarity).tolist(), rounded(gaps).tolist(), strict=True):
        made = candidate.synthetic
        if near < thresholds.least_similarity:
            rejected.append(Rejected(made.event, made.original, "too far from its original", near, gap))
        elif gap < thresholds.least_gap:
            rejected.append(Rejected(made.event, made.original, "too near to a sibling sense", near, gap))
        else:
            accepted.append(made)
    return Verified(tuple(accepted), tuple(rejected))
