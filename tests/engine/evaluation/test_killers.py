"""Killers and their reasons, rule by rule."""

from __future__ import annotations

import pytest

from engine.data.records import UsageEvent
from engine.evaluation.killers import reason_code
from engine.evaluation.ranking import Ranked
from tests.engine.made_up import event, retrieval_item

QUERY = event("bank of the river where we sat down", span=(0, 4))
RIGHT = event("the bank was steep and muddy today", span=(4, 8))
WRONG = event("the bank lent us the money we asked for", span=(4, 8), sense="s2")
LONG = "a bank " + "that goes on and on " * 10


def reason(
    query: UsageEvent = QUERY, right: UsageEvent = RIGHT, wrong: UsageEvent = WRONG, rank: int = 2, margin: float = -0.3
) -> str | None:
    return reason_code(retrieval_item(query, [right], [wrong]), Ranked(rank, margin, 0, 0 if rank == 1 else 1))


@pytest.mark.parametrize(
    ("rank", "margin", "killer"),
    [(1, 0.2, False), (2, -0.1, False), (3, -0.149, False), (2, -0.15, True), (4, -0.01, True)],
)
def test_a_killer_is_far_down_or_far_behind(rank: int, margin: float, killer: bool) -> None:
    assert (reason(rank=rank, margin=margin) is not None) == killer


def test_reasons_in_the_order_of_their_rules() -> None:
    short = event("bank on it now", span=(0, 4))
    other_pos = event("we bank here all the time these days", pos="v")
    other_lemma = event("the shore was steep and muddy", lemma="shore", pos="v")
    assert reason(query=short, wrong=other_lemma) == "underdetermined_context"
    assert reason(wrong=other_lemma) == "cross_domain_confusable"
    assert reason(wrong=other_pos, right=event(LONG)) == "cross_pos_collision"
    assert reason(right=event(LONG)) == "style_mismatch"
    assert reason(right=event("sloping land beside the water", source="gloss")) == "style_mismatch"
    assert reason(right=event(LONG), wrong=event(LONG + "!")) == "within_lemma_collision"
    assert reason() == "within_lemma_collision"
