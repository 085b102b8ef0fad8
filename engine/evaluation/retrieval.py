"""Retrieval: does the nearest candidate context share the query's sense?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb

import numpy as np

from engine.data.bundles.encoder_text import encoder_text_of
from engine.data.evaluation.killers import Ranked, rank_candidates
from engine.data.records import RetrievalItem
from engine.evaluation.text_vectors import TextVectors


def rank_retrieval(items: Iterable[RetrievalItem], vectors: TextVectors) -> list[Ranked]:
    """The outcome of each item."""
    return [
        rank_candidates(
            vectors.similarities(encoder_text_of(item.query), [encoder_text_of(one.event) for one in item.candidates]),
            np.array([candidate.right for candidate in item.candidates]),
        )
        for item in items
    ]


def expected_random(items: Sequence[RetrievalItem], top: int) -> float:
    """The expected share of items with a right candidate among ``top`` drawn at random (hypergeometric)."""
    chances = []
    for item in items:
        count, right = len(item.candidates), sum(candidate.right for candidate in item.candidates)
        drawn = min(top, count)
        chances.append(1.0 - comb(count - right, drawn) / comb(count, drawn))
    return float(np.mean(chances))


def texts_of_retrieval(items: Iterable[RetrievalItem]) -> set[str]:
    texts = set()
    for item in items:
        texts |= {encoder_text_of(item.query), *(encoder_text_of(candidate.event) for candidate in item.candidates)}
    return texts
