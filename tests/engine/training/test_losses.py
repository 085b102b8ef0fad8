"""Every part of the loss against plain loops."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from torch import Tensor
from torch.nn import functional as F

from engine.contract.experiment import TIERS, Training
from engine.training.bundle_arrays import BundleArrays, tier_index
from engine.training.losses import (
    Similarities,
    bundle_loss,
    bundle_similarities,
    comparison_loss,
    contrastive,
    entropy_floor,
    gloss_loss,
    hard_negative,
    is_hard,
    pull,
    slack,
    target_mass,
)
from tests.engine.samples import SENSE_TEXT, bundle, event, random_states

RECIPE = Training()


class Case:
    """B bundles with up to K negatives: similarities of two models, which negatives count, and tiers."""

    def __init__(self, bundles: int, most: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)

        def cosines(*shape: int) -> Tensor:
            return (2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1).requires_grad_()

        self.head = Similarities(cosines(bundles), cosines(bundles, most))
        self.mean_pool = Similarities(cosines(bundles), cosines(bundles, most))
        self.mask = torch.rand(bundles, most, generator=generator) < 0.6
        self.tier = torch.randint(-1, 3, (bundles,), generator=generator)

    def negatives(self, index: int, mean_pool: bool = False) -> list[float]:
        row = (self.mean_pool if mean_pool else self.head).negatives[index].tolist()
        return [value for value, counts in zip(row, self.mask[index].tolist(), strict=True) if counts]


cases = st.builds(Case, st.integers(1, 6), st.integers(0, 6), st.integers(0, 999))


def plain_contrastive(positive: float, negatives: Sequence[float], temperature: float) -> float:
    total = sum(math.exp(value / temperature) for value in (positive, *negatives))
    return -math.log(math.exp(positive / temperature) / total)


def plain_hard_negative(negatives: Sequence[float], top_k: int) -> float:
    nearest = sorted(negatives, reverse=True)[:top_k]
    if not nearest:
        return -1.0
    weights = [math.exp(value / 0.1) for value in nearest]
    return sum(w * value for w, value in zip(weights, nearest, strict=True)) / sum(weights)


def plain_slack(positive: float, hard: float, tier: int) -> float:
    is_hard_tier = tier in (1, 2)
    margin, times = (RECIPE.margin_hard, 2.0) if is_hard_tier else (RECIPE.margin_easy, 1.0)
    return times * max(0.0, margin - (positive - hard))


@given(case=cases, temperature=st.sampled_from([0.05, 0.1, 1.0]), top_k=st.integers(1, 4))
def test_each_part_of_the_loss_equals_a_plain_loop(case: Case, temperature: float, top_k: int) -> None:
    with torch.no_grad():
        losses = contrastive(case.head.positive, case.head.negatives, case.mask, temperature)
        hard = hard_negative(case.head.negatives, case.mask, top_k)
        slacks = slack(case.head.positive, hard, is_hard(case.tier), RECIPE)
        pulls = pull(case.head, case.mean_pool, case.mask)
    for index, positive in enumerate(case.head.positive.tolist()):
        negatives = case.negatives(index)
        expected_hard = plain_hard_negative(negatives, top_k)
        assert float(losses[index]) == pytest.approx(plain_contrastive(positive, negatives, temperature))
        assert float(hard[index]) == pytest.approx(expected_hard)
        assert float(slacks[index]) == pytest.approx(
            plain_slack(positive, expected_hard, int(case.tier[index])), abs=1e-6
        )
        pairs = zip(
            [positive, *negatives], [case.mean_pool.positive[index].item(), *case.negatives(index, True)], strict=True
        )
        assert float(pulls[index]) == pytest.approx(
            sum((head - mean_pool) ** 2 for head, mean_pool in pairs) / (1 + len(negatives))
        )


@given(case=cases)
def test_the_whole_is_the_weighted_sum_and_a_bundle_without_negatives_adds_nothing(case: Case) -> None:
    whole = comparison_loss(case.head, case.mean_pool, case.mask, case.tier, RECIPE).detach()
    hard = hard_negative(case.head.negatives, case.mask, RECIPE.hard_negative_top_k)
    parts = (
        contrastive(case.head.positive, case.head.negatives, case.mask, RECIPE.temperature)
        + RECIPE.slack_weight * slack(case.head.positive, hard, is_hard(case.tier), RECIPE)
        + RECIPE.pull_weight * pull(case.head, case.mean_pool, case.mask)
    )
    for index in range(len(whole)):
        expected = float(parts.detach()[index]) if case.negatives(index) else 0.0
        assert float(whole[index]) == pytest.approx(expected)


@given(case=cases)
def test_negatives_that_do_not_count_have_no_influence(case: Case) -> None:
    whole = comparison_loss(case.head, case.mean_pool, case.mask, case.tier, RECIPE)
    (gradient,) = torch.autograd.grad(whole.sum(), case.head.negatives, allow_unused=True)
    if gradient is not None:
        assert bool(torch.isfinite(gradient).all())
        assert not bool(gradient[~case.mask].any())


def test_robust_and_adversarial_bundles_are_hard_and_untiered_ones_easy() -> None:
    tiers = torch.tensor([tier_index(tier) for tier in (*TIERS, None, "unheard of")])
    assert is_hard(tiers).tolist() == [False, True, True, False, False]


def test_the_entropy_floor_and_the_mass_on_the_target_word() -> None:
    attention = torch.tensor([0.5, 0.5, 0.97, 0.01, 0.01, 0.01], dtype=torch.float64)
    offsets = torch.tensor([0, 2, 6])
    entropies = [math.log(2), -0.97 * math.log(0.97) - 0.03 * math.log(0.01)]
    floor = entropy_floor(attention, offsets, 0.5)
    assert floor.tolist() == pytest.approx([0.0, 0.5 - entropies[1]])
    assert entropies[1] < 0.5 < entropies[0]
    on_target = torch.tensor([True, False, True, True, False, False])
    assert target_mass(attention, on_target, offsets).tolist() == pytest.approx([0.5, 0.98])


def test_the_gloss_loss_equals_a_plain_loop_over_bundles_and_both_ways() -> None:
    glosses = [event(f"gloss {sense}", sense, "gloss") for sense in ("s1", "s2", "s3")]
    bundles = [
        bundle("a1", "p1", ["b1", "b2"]),
        bundle(event("a2", "s3"), "p1", ["b1", event("gloss s1", source="gloss")]),
        bundle(event("a3", "s2"), "p1", []),
        bundle(event("a1", "s9"), "p1", ["b1"]),
    ]
    texts = ["a1", "a2", "a3", "p1", "b1", "b2", *(f"bank: {gloss.text}" for gloss in glosses)]
    arrays = BundleArrays.from_bundles(bundles, random_states(texts), SENSE_TEXT, glosses)
    generator = torch.Generator().manual_seed(4)
    head, frozen = (
        F.normalize(torch.randn(len(texts), size, generator=generator, dtype=torch.float64), dim=1) for size in (3, 5)
    )

    of_head, of_frozen = bundle_similarities(head, arrays), bundle_similarities(frozen, arrays)

    def plain(query: str, target: str, others: Sequence[str]) -> float:
        def near(vectors: Tensor, other: str) -> float:
            return float(vectors[texts.index(query)] @ vectors[texts.index(other)])

        cosines = [near(head, one) for one in (target, *others)]
        gaps = [mine - near(frozen, one) for mine, one in zip(cosines, (target, *others), strict=True)]
        pulled = sum(gap**2 for gap in gaps) / len(gaps)
        return plain_contrastive(cosines[0], cosines[1:], RECIPE.temperature) + RECIPE.pull_weight * pulled

    s1, s2, s3 = texts[-3:]
    expected = [
        (plain("a1", s1, [s2, s3]) + plain(s1, "a1", ["b1", "b2"])) / 2,
        (plain("a2", s3, [s1, s2]) + plain(s3, "a2", ["b1"])) / 2,
        plain("a3", s2, [s1, s3]) / 2,  # no sentence to compare the gloss with
        0.0,  # no gloss is known
    ]
    assert gloss_loss(of_head, of_frozen, arrays, RECIPE).tolist() == pytest.approx(expected)
    whole = bundle_loss(of_head, of_frozen, arrays, replace(RECIPE, gloss_weight=0.3))
    without = bundle_loss(of_head, of_frozen, arrays, RECIPE)
    assert (whole - without).tolist() == pytest.approx([0.3 * one for one in expected])
