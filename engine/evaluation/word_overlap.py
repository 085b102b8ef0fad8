"""Word overlap, the baseline that reads no meaning: texts are as similar as the share of their words that they have in common."""

from __future__ import annotations

import numpy as np

from engine.data.evaluation.killers import Ranked, rank_candidates
from engine.data.records import CoherenceItem, CoherenceStep, RetrievalItem


def overlap(left: str, right: str) -> float:
    """Intersection over union of the words of two texts: lower case, split on white space; 0 for two empty texts."""
    ours, theirs = set(left.lower().split()), set(right.lower().split())
    return len(ours & theirs) / len(ours | theirs) if ours or theirs else 0.0


def rank_retrieval_by_overlap(item: RetrievalItem) -> Ranked:
    """Rank an item's candidates by overlap with the query; a tie loses, as for models."""
    overlaps = np.array([overlap(item.query.text, candidate.event.text) for candidate in item.candidates])
    return rank_candidates(overlaps, np.array([candidate.right for candidate in item.candidates]))


def rank_coherence_by_overlap(item: CoherenceItem, step: CoherenceStep) -> Ranked:
    """Rank an item's glosses by overlap with the context of one of its steps; a tie loses."""
    overlaps = np.array([overlap(step.event.text, gloss) for gloss in item.glosses])
    return rank_candidates(overlaps, np.arange(len(item.glosses)) == step.sense)
