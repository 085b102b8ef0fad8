"""Every part of the loss against plain loops."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine.contract.experiment import TIERS, Training
from engine.training.bundle_arrays import tier_index
from engine.training.losses import (
    Similarities,
    comparison_loss,
    contrastive,
    entropy_floor,
    hard_negative,
    is_hard,
    pull,
    slack,
    target_mass,
)

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
