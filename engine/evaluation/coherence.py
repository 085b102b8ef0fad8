"""Coherence: at each step, is the gloss nearest to the context the one of the active sense?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from engine.data.bundles.encoder_text import definitions_of, encoder_text_of
from engine.data.evaluation.killers import Ranked, rank_candidates
from engine.data.records import CoherenceItem, CoherenceStep
from engine.evaluation.text_vectors import TextVectors


class StepOf(NamedTuple):
    """A step with its item and its place in it."""

    item: CoherenceItem
    place: int
    step: CoherenceStep


def steps_of(items: Iterable[CoherenceItem]) -> Iterator[StepOf]:
    """All steps of all items, in order."""
    for item in items:
        for place, step in enumerate(item.steps):
            yield StepOf(item, place, step)


def rank_coherence(items: Iterable[CoherenceItem], vectors: TextVectors) -> list[Ranked]:
    """The outcome of each step: its item's glosses ranked by nearness to the step's context."""
    return [
        rank_candidates(
            vectors.similarities(encoder_text_of(step.event), definitions_of(item)),
            np.arange(len(item.glosses)) == step.sense,
        )
        for item, _, step in steps_of(items)
    ]


def expected_random(items: Sequence[CoherenceItem]) -> float:
    """The expected share of steps named right by guessing."""
    return float(np.mean([1.0 / len(item.glosses) for item, _, _ in steps_of(items)]))


def texts_of_coherence(items: Iterable[CoherenceItem]) -> set[str]:
    texts = set()
    for item in items:
        texts |= {*definitions_of(item), *(encoder_text_of(step.event) for step in item.steps)}
    return texts
