"""Scores that follow from rows: guessing, transitions, final states, classes, what the evaluation can tell."""

from __future__ import annotations

import math
from itertools import combinations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract.items import ItemRow
from engine.contract.metrics import Scores, TierScore
from engine.evaluation.scores import (
    METRICS,
    gains_over,
    guessing_results,
    informativeness,
    metric_values,
    model_scores,
    percentile,
    ranked_results,
)
from tests.engine.samples import item_row


def step(item: str, number: int, of: int, sense: int, lemma: str = "bank", **more: object) -> ItemRow:
    """A coherence step of an item of ``of`` steps and two senses."""
    changes = {"kind": "coherence", "tier": "", "item_class": "informative", "right": [sense == 0, sense == 1]}
    return item_row(**(changes | more), item_id=f"{item}:{number - 1}", step=number, steps=of, lemma=lemma)


@given(right=st.integers(1, 4), wrong=st.integers(1, 5))
def test_guessing_scores_the_share_of_draws_that_hold_a_right_one(right: int, wrong: int) -> None:
    row = item_row(candidates=right + wrong, right=[True] * right + [False] * wrong)
    results = guessing_results([row])
    for top, found in ((1, results.top1), (3, results.top3)):
        draws = list(combinations(range(right + wrong), min(top, right + wrong)))
        assert found == [pytest.approx(sum(any(index < right for index in draw) for draw in draws) / len(draws))]
    scores = model_scores([row], results)
    assert scores.margins is None and scores.intervals["retrieval_top1"].standard_error is None


ROWS = [
    item_row(item_id="r0", lemma="a", item_class="right_overlaps_more"),
    item_row(item_id="r1", lemma="b", tier="tier3_adversarial"),
    item_row(item_id="r2", lemma="b"),
    step("c0", 1, 2, 0, "a"),
    step("c0", 2, 2, 1, "a"),
    step("c1", 1, 3, 0, item_class="placeholder", best_expected=0.5),
    step("c1", 2, 3, 1, item_class="placeholder"),
    step("c1", 3, 3, 1, item_class="verbatim"),
]
RANKS, MARGINS = [1, 3, 5, 1, 2, 1, 1, 1], [0.3, -0.1, -0.2, 0.1, -0.1, 0.1, 0.1, 0.1]


def test_shares_are_of_items_steps_shifts_and_last_steps() -> None:
    scores = model_scores(ROWS, ranked_results(RANKS, MARGINS))
    assert (scores.retrieval_top1, scores.retrieval_top3, scores.coherence_accuracy) == (1 / 3, 2 / 3, 4 / 5)
    assert scores.transition_accuracy == 1 / 2  # c1's third step is of the same sense as its second
    assert scores.final_state_accuracy == 1 / 2
    assert scores.tiers == {"tier1_easy": TierScore(2, 0.5), "tier3_adversarial": TierScore(1, 0.0)}
    assert {name: (one.mean, one.items, one.lemmas) for name, one in scores.classes.items()} == {
        "right_overlaps_more": (1.0, 1, 1),
        "equal_overlap": (0.0, 2, 1),
        "placeholder": (1.0, 2, 1),
        "verbatim": (1.0, 1, 1),
        "informative": (0.5, 2, 1),
    }
    assert scores.margins is not None and scores.margins.mean == pytest.approx(0.0)
    assert scores.margins.p5 == pytest.approx(np.percentile(MARGINS[:3], 5))
    assert list(scores.intervals) == list(METRICS)


def test_gains_are_paired_by_item() -> None:
    gains = gains_over(ROWS, ranked_results(RANKS, MARGINS), ranked_results([1, 1, 1, 1, 1, 2, 1, 1], MARGINS))
    means = {name: (gain.mean, gain.items) for name, gain in gains.items()}
    assert means["retrieval_top1"] == (-2 / 3, 3) and means["coherence_accuracy"] == (0.0, 5)
    assert means["transition_accuracy"] == (0.0, 2) and means["final_state_accuracy"] == (-0.5, 2)


def test_guesses_at_a_shift_must_both_be_right() -> None:
    scores = model_scores(ROWS, guessing_results(ROWS))
    assert (scores.coherence_accuracy, scores.transition_accuracy, scores.final_state_accuracy) == (0.5, 0.25, 0.5)


def test_scores_without_items_are_not_numbers_and_have_no_interval() -> None:
    scores = model_scores(ROWS[:3], ranked_results(RANKS[:3], MARGINS[:3]))
    assert math.isnan(scores.coherence_accuracy) and list(scores.intervals) == ["retrieval_top1", "retrieval_top3"]
    assert model_scores(ROWS[3:], ranked_results(RANKS[3:], MARGINS[3:])).margins is None
    assert [
        name for name, values in metric_values(ROWS[3:], guessing_results(ROWS[3:])).items() if not values.values
    ] == [
        *("retrieval_top1", "retrieval_top3"),
    ]


def test_scores_without_a_shift_of_sense_can_be_written_and_read() -> None:
    rows = [*ROWS[:3], step("a", 1, 2, 0), step("a", 2, 2, 0)]
    scores = model_scores(rows, ranked_results([1] * 5, [0.1] * 5))
    assert (scores.transition_accuracy, scores.final_state_accuracy) == (None, 1.0)
    assert msgspec.json.decode(msgspec.json.encode(scores), type=Scores) == scores


def test_the_evaluation_says_what_it_can_tell() -> None:
    told = informativeness(ROWS)
    assert told.retrieval_classes == {"right_overlaps_more": 1, "equal_overlap": 2, "wrong_overlaps_more": 0}
    classes = {"placeholder": 2, "identical_glosses": 0, "verbatim": 1, "informative": 2}
    assert told.coherence_classes == classes
    assert (told.judged, told.coherence_ceiling) == (2 / 5, 4.5 / 5)
    assert (told.shared_gloss_steps, told.by_elimination_steps) == (1, 1)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=30), st.floats(0, 1))
def test_percentiles_are_numpys(values: list[float], share: float) -> None:
    assert percentile(values, share) == pytest.approx(np.percentile(values, 100 * share), abs=1e-12)
