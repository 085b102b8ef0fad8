"""Ranking of retrieval candidates and coherence glosses."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from engine.data.records import Dataset
from engine.evaluation.ranking import (
    TextVectors,
    rank_coherence,
    rank_retrieval,
    ranking_inputs,
    steps_of,
)
from tests.engine.samples import SENSE_TEXT, coherence_item, inputs_of, retrieval_item

POINTS = {"q": (1.0, 0.0), "near": (0.8, 0.6), "middle": (0.6, 0.8), "far": (0.0, 1.0)}
TEXTS = {**POINTS, "bank: near": POINTS["near"], "bank: middle": POINTS["middle"]}
VECTORS = TextVectors(inputs_of(TEXTS), torch.tensor(list(TEXTS.values()), dtype=torch.float64), SENSE_TEXT)


def test_candidates_are_ranked_by_cosine_with_the_query() -> None:
    items = [retrieval_item("q", ["near"], ["middle", "far"]), retrieval_item("q", ["far"], ["near", "middle"])]
    first, second = rank_retrieval(items, VECTORS)
    assert (first.rank, first.chosen) == (1, 0)
    assert first.margin == pytest.approx(0.2)
    assert (second.rank, second.answer, second.chosen) == (3, 0, 1)
    assert second.margin == pytest.approx(-0.8)
    dataset = Dataset("v2.2", (), (), tuple(items), (), "", "")
    assert ranking_inputs(dataset, SENSE_TEXT) == list(inputs_of(["far", "middle", "near", "q"]))


def test_each_step_names_the_sense_whose_gloss_is_nearest() -> None:
    item = coherence_item([("q", 0), ("far", 0)], ["near", "middle"])
    first, second = rank_coherence([item], VECTORS)
    assert (first.rank, first.chosen) == (1, 0)
    assert (second.rank, second.chosen, second.answer) == (2, 1, 0)
    assert [index for _, index, _ in steps_of([item, item])] == [0, 1, 0, 1]
    dataset = Dataset("v2.2", (), (), (), (item,), "", "")
    assert ranking_inputs(dataset, SENSE_TEXT) == list(inputs_of(["bank: middle", "bank: near", "far", "q"]))


@pytest.mark.parametrize("size", [16, 256, 384])
@pytest.mark.parametrize("count", [2, 3, 7, 12])
def test_a_wrong_candidate_of_the_same_text_always_ties_and_so_wins(size: int, count: int) -> None:
    generator = torch.Generator().manual_seed(size + count)
    names = ["q", *(f"text {at}" for at in range(count))]
    for right in range(count):
        vectors = F.normalize(torch.randn(len(names), size, generator=generator), dim=1)
        for wrong in range(count):
            if wrong == right:
                continue
            table = vectors.clone()
            table[1 + right] = table[1 + wrong] = 3 * vectors[0] + table[1 + right]  # the nearest of all
            glosses = [f"text {at}" for at in range(count)]
            item = coherence_item([("q", right)], glosses)
            inputs = inputs_of(["q", *(f"bank: {gloss}" for gloss in glosses)])
            (ranked,) = rank_coherence([item], TextVectors(inputs, table, SENSE_TEXT))
            assert (ranked.rank, ranked.margin) == (2, 0.0)
