"""Ranking of candidates; killers and their reason codes, rule by rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.contract.items import KILLER_MARGIN, KILLER_RANK
from engine.data.bundles.encoder_text import EmbeddedTexts
from engine.data.evaluation.killers import Ranked, killer_set, rank_candidates, reason_code
from engine.data.records import UsageEvent
from tests.engine.samples import event, retrieval_item

candidates = st.lists(
    st.tuples(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=2, max_size=9
)


@given(drawn=candidates)
def test_the_rank_is_the_place_in_a_list_where_wrong_ones_go_first_among_equals(
    drawn: list[tuple[float, bool]],
) -> None:
    assume(len({right for _, right in drawn}) == 2)
    values, right = np.array([value for value, _ in drawn]), np.array([is_right for _, is_right in drawn])
    outcome = rank_candidates(values, right)
    in_order = sorted(range(len(drawn)), key=lambda place: (-values[place], right[place]))
    assert outcome.rank == 1 + next(at for at, place in enumerate(in_order) if right[place])
    assert outcome.margin == values[right].max() - values[~right].max()
    assert right[outcome.answer]
    assert values[outcome.answer] == values[right].max()
    assert right[outcome.chosen] == (outcome.rank == 1)
    assert values[outcome.chosen] == values.max()


def test_nan_never_ranks_first() -> None:
    right = np.array([True, False, False])
    assert rank_candidates(np.array([np.nan, 0.1, 0.2]), right).rank == 3
    assert rank_candidates(np.array([0.9, np.nan, 0.2]), right).rank == 2
    assert rank_candidates(np.array([np.nan, np.nan, np.nan]), right).rank == 3


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
def test_a_killer_is_decided_by_rank_or_margin(rank: int, margin: float, killer: bool) -> None:
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


def near_the_query(names: Sequence[str]) -> NDArray[np.float32]:
    """Texts that begin with a number lie at that cosine to the query."""
    cosines = np.array([1.0 if name.startswith("query") else float(name.split()[0]) for name in names])
    return np.stack((cosines, np.sqrt(1 - cosines**2)), axis=1).astype(np.float32)


COSINES = st.lists(st.integers(-95, 95).map(lambda hundredths: hundredths / 100), min_size=1, max_size=4)


@given(st.lists(st.tuples(COSINES, COSINES), max_size=5))
def test_the_killer_set_is_what_the_reference_fails_badly(rows: list[tuple[list[float], list[float]]]) -> None:
    items = [
        retrieval_item(
            f"query number {number} of some more words",
            [event(f"{cosine} right {place}") for place, cosine in enumerate(right)],
            [event(f"{cosine} wrong {place}", sense="s2") for place, cosine in enumerate(wrong)],
        )
        for number, (right, wrong) in enumerate(rows)
    ]
    texts = EmbeddedTexts(near_the_query)
    texts.add(e.text for item in items for e in (item.query, *(c.event for c in item.candidates)))
    killers = {killer.item_id: killer for killer in killer_set(items, texts)}
    for item, (right, wrong) in zip(items, rows, strict=True):
        margin, rank = max(right) - max(wrong), 1 + sum(other >= max(right) for other in wrong)
        if abs(margin - KILLER_MARGIN) > 1e-4:
            assert (item.item_id in killers) == (rank > 1 and (margin <= KILLER_MARGIN or rank >= KILLER_RANK))
        if killer := killers.get(item.item_id):
            assert (killer.margin, killer.severity) == pytest.approx((margin, 1 - margin), abs=2e-5)
            assert (killer.rank, killer.wrong_sense_id) == (rank, "s2")
