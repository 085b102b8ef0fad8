"""Validation on development bundles."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.contract.experiment import Training
from engine.data.bundles.encoder_text import encoder_input_of
from engine.data.records import DevelopmentSet, UsageEvent
from engine.model.sense_head import SenseHead
from engine.training.bundle_arrays import BundleArrays
from engine.training.development import DevelopmentData
from engine.training.losses import bundle_similarities
from engine.training.validation import chance_scores, rank, score, validate
from tests.engine.samples import (
    SENSE_TEXT,
    SenseTask,
    bundle,
    coherence_item,
    event,
    items_of,
    mean_pool_all,
    retrieval_item,
    states_of,
)

STATES = states_of(
    {
        "q": [1.0, 0.0],
        "near": [0.8, 0.6],
        "far": [0.0, 1.0],
        "middle": [0.6, 0.8],
        "same as near": [0.8, 0.6],
        "bank: gloss": [1.0, 0.0],
    }
)
GLOSS = event("gloss", source="gloss")


def test_the_right_sentence_must_beat_every_sibling_sentence_and_a_tie_loses() -> None:
    bundles = (
        bundle("q", "near", ["far", "middle"], "tier1_easy"),
        bundle("q", "middle", ["near", "far"], "tier1_easy"),
        bundle("q", "near", ["same as near"], "tier3_adversarial"),
    )
    ranking = rank(mean_pool_all(STATES), BundleArrays.from_bundles(bundles, STATES, SENSE_TEXT))
    assert ranking.top1 == pytest.approx(1 / 3)
    assert ranking.margin == pytest.approx((0.2 - 0.2 + 0.0) / 3, abs=1e-3)
    assert ranking.tiers == {"tier1_easy": 0.5, "tier3_adversarial": 0.0}


def test_definitions_are_not_compared_with_sentences() -> None:
    bundles = (bundle("q", "near", [GLOSS, "far"]), bundle("q", "near", [GLOSS]))
    ranking = rank(mean_pool_all(STATES), BundleArrays.from_bundles(bundles, STATES, SENSE_TEXT))
    assert ranking.top1 == 1.0
    assert ranking.tiers == {"untiered": 1.0}


def test_validation_of_a_head_agrees_with_its_embeddings_and_trains_nothing() -> None:
    task = SenseTask()
    head = SenseHead(task.states.width, 8, 0.5, seed=0)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    data = DevelopmentData.from_records(task.dev, (), task.states, SENSE_TEXT)
    frozen = bundle_similarities(mean_pool_all(task.states)[data.rows], data.bundles)
    seen = validate(head, task.states, frozen, data, Training())
    embedding: Tensor = head(task.states.gather(torch.arange(len(task.states.inputs)))).embedding.detach()
    right = 0

    def vector(one: UsageEvent) -> Tensor:
        return embedding[task.states.row(encoder_input_of(one, SENSE_TEXT))]

    for held in task.dev:
        query = vector(held.anchor)
        siblings = [float(query @ vector(sibling)) for sibling in held.siblings]
        right += float(query @ vector(held.positive)) > max(siblings)
    assert seen.scores.ranking.top1 == seen.scores.selection == pytest.approx(right / len(task.dev))
    assert 0.0 < seen.attention_entropy <= 1.0
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())
    assert torch.allclose(embedding.norm(dim=1), F.normalize(embedding).norm(dim=1))


def test_chance_is_the_mean_over_every_order_of_the_candidates_and_leaves_out_what_is_not_ranked() -> None:
    bundles = (
        bundle("q", "near", ["far", "middle"], "tier1_easy"),
        bundle("q", "near", ["far", GLOSS], "tier3_adversarial"),
        bundle("q", "near", ["far", "middle", "same as near"], "tier3_adversarial"),
        bundle("q", "near", [GLOSS], "tier2_robust"),
    )
    retrieval = (
        retrieval_item("q", ["near"], ["far", "middle", "same as near", "q"]),
        retrieval_item("q", ["near", "middle"], ["far"]),
    )
    coherence = (coherence_item([("q", 0), ("far", 1)], ("gloss", "gloss", "gloss")),)
    sets = (DevelopmentSet("mine", retrieval, coherence), DevelopmentSet("steps", (), coherence))
    seen = chance_scores(DevelopmentData.from_records(bundles, sets, STATES, SENSE_TEXT))

    def expected(right: int, wrong: int, top: int) -> float:
        orders = list(itertools.permutations([True] * right + [False] * wrong))
        return sum(any(order[:top]) for order in orders) / len(orders)

    siblings = (2, 1, 3)
    top1 = sum(expected(1, wrong, 1) for wrong in siblings) / 3
    assert seen.top1 == pytest.approx(top1)
    assert seen.tiers == pytest.approx(
        {"tier1_easy": expected(1, 2, 1), "tier3_adversarial": (expected(1, 1, 1) + expected(1, 3, 1)) / 2}
    )
    mine, steps = seen.sets
    assert (mine.top1, mine.top3) == pytest.approx(
        tuple((expected(1, 4, top) + expected(2, 1, top)) / 2 for top in (1, 3))
    )
    assert mine.coherence == steps.coherence == pytest.approx(expected(1, 2, 1))
    assert (steps.top1, steps.top3) == (None, None)
    assert seen.score == pytest.approx(((top1 + (expected(1, 4, 1) + expected(2, 1, 1)) / 2) / 2 + 1 / 3) / 2)


def test_models_that_rank_at_random_have_the_level_of_chance() -> None:
    task = SenseTask()
    data = DevelopmentData.from_records(
        task.dev, (DevelopmentSet("mine", *items_of(task.dev)),), task.states, SENSE_TEXT
    )
    generator = torch.Generator().manual_seed(0)
    scores = [
        score(F.normalize(torch.randn(len(data.rows), 8, generator=generator), dim=1), data).selection
        for _ in range(400)
    ]
    error = float(torch.tensor(scores).std()) / 20
    assert chance_scores(data).score == pytest.approx(sum(scores) / 400, abs=4 * error)


@pytest.mark.parametrize("size", [16, 256, 384])
def test_a_sibling_of_the_same_text_always_ties_and_so_wins(size: int) -> None:
    names = ["q", *(f"text {at}" for at in range(9))]
    states = states_of({name: [float(at)] for at, name in enumerate(names)})
    generator = torch.Generator().manual_seed(size)
    for right in range(1, len(names)):
        bundles = BundleArrays.from_bundles((bundle("q", names[right], names[1:]),), states, SENSE_TEXT)
        table = F.normalize(torch.randn(len(names), size, generator=generator), dim=1)
        table[right] = F.normalize(3 * table[0] + table[right], dim=0)  # the nearest of all
        ranking = rank(table, bundles)
        assert (ranking.top1, ranking.margin) == (0.0, 0.0)
