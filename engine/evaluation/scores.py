"""Scores of one model from its outcomes; pure functions of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from engine.contract.experiment import TIERS
from engine.contract.items import ItemRow
from engine.contract.metrics import Margins, Scores, TierScore
from engine.data.evaluation.killers import Ranked
from engine.data.records import Killer


def scores(retrieval: Sequence[Ranked], tiers: Sequence[str], coherence: Sequence[Ranked]) -> Scores:
    """Scores on the items of which ``retrieval`` (one an item, ``tiers`` beside it) and ``coherence`` (one a step) tell."""
    ranks = np.array([outcome.rank for outcome in retrieval])
    margins = np.array([outcome.margin for outcome in retrieval])
    of_tier = np.array(tiers)
    return Scores(
        retrieval_top1=float(np.mean(ranks == 1)),
        retrieval_top3=float(np.mean(ranks <= 3)),
        coherence_accuracy=float(np.mean([outcome.rank == 1 for outcome in coherence])),
        margins=Margins(float(margins.mean()), float(np.percentile(margins, 5)), float(np.percentile(margins, 95))),
        tiers={
            tier: TierScore(int(np.sum(of_tier == tier)), float(np.mean(ranks[of_tier == tier] == 1)))
            for tier in TIERS
            if np.any(of_tier == tier)
        },
    )


def killer_top1(rows: Iterable[ItemRow], killers: Sequence[Killer]) -> float | None:
    """The fraction of the frozen killer set that ``rows`` rank right; None if the set is empty."""
    ids = {killer.item_id for killer in killers}
    right = [row.correct_at_1 for row in rows if row.kind == "retrieval" and row.item_id in ids]
    return sum(right) / len(right) if right else None
