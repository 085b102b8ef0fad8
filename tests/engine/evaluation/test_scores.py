"""Scores from outcomes."""

from __future__ import annotations

import statistics

import pytest

from engine.contract.items import ItemRow
from engine.data.evaluation.killers import Ranked
from engine.data.records import Killer
from engine.evaluation.scores import killer_top1, scores


def outcome(rank: int, margin: float) -> Ranked:
    return Ranked(rank, margin, 0, 0 if rank == 1 else 1)


RETRIEVAL = [outcome(1, 0.3), outcome(2, -0.1), outcome(3, -0.2), outcome(4, -0.4), outcome(1, 0.1)]
TIERS = ["tier1_easy", "tier1_easy", "tier3_adversarial", "tier3_adversarial", "tier3_adversarial"]


def test_shares_margins_and_tiers() -> None:
    made = scores(RETRIEVAL, TIERS, [outcome(1, 0.1), outcome(2, -0.1), outcome(1, 0.2)])
    assert made.retrieval_top1 == pytest.approx(2 / 5)
    assert made.retrieval_top3 == pytest.approx(4 / 5)
    assert made.coherence_accuracy == pytest.approx(2 / 3)
    assert made.margins.mean == pytest.approx(statistics.fmean(item.margin for item in RETRIEVAL))
    assert made.margins.p5 == pytest.approx(-0.4 + 0.2 * 0.2)
    assert made.margins.p95 == pytest.approx(0.1 + 0.8 * 0.2)
    assert {name: (tier.items, tier.top1) for name, tier in made.tiers.items()} == {
        "tier1_easy": (2, 0.5),
        "tier3_adversarial": (3, pytest.approx(1 / 3)),
    }


def row(kind: str, item_id: str, rank: int) -> ItemRow:
    tail = (0.0, "", 1, 0.0, "q", "a", "c")
    return ItemRow(kind, item_id, "bank", "tier1_easy", "example", 4, rank, rank == 1, rank <= 3, *tail)


def test_the_killer_set_counts_its_retrieval_items_alone() -> None:
    rows = [row("retrieval", "a", 1), row("retrieval", "b", 2), row("retrieval", "c", 1), row("coherence", "a", 4)]
    killers = [Killer(name, "within_lemma_collision", -0.4, 1.4, 2) for name in ("a", "b")]
    assert killer_top1(rows, killers) == 0.5
    assert killer_top1(rows, killers[1:]) == 0.0
    assert killer_top1(rows, []) is None
