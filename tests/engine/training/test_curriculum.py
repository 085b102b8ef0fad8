"""What an epoch draws: every bundle once when uniform, else in proportion to its weight; repeatable."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.contract.experiment import Curriculum
from engine.training.curriculum import EpochSampler, sampling_weights, tier3_exposures

sizes = st.integers(1, 60)
batch_sizes = st.integers(1, 17)
seeds = st.integers(0, 2**31 - 1)


def drawn(sampler: EpochSampler, epoch: int, skip: int = 0) -> list[int]:
    return [index for batch in sampler.epoch(epoch, skip) for index in batch.tolist()]


@given(size=sizes, batch_size=batch_sizes, seed=seeds)
def test_a_uniform_epoch_draws_every_bundle_once(size: int, batch_size: int, seed: int) -> None:
    sampler = EpochSampler(torch.full((size,), 3.0), batch_size, seed)
    assert sorted(drawn(sampler, 1)) == list(range(size))
    assert [len(batch) for batch in sampler.epoch(1)][:-1] == [batch_size] * (sampler.batches - 1)


@given(weights=st.lists(st.sampled_from([1.0, 2.0, 4.0]), min_size=1, max_size=60), seed=seeds)
def test_each_bundle_is_drawn_in_proportion_to_its_weight(weights: list[float], seed: int) -> None:
    sampler = EpochSampler(torch.tensor(weights, dtype=torch.float64), 7, seed)
    order = drawn(sampler, 1)
    assert len(order) == len(weights)
    for index, weight in enumerate(weights):
        expected = len(weights) * weight / sum(weights)
        assert math.floor(expected - 1e-9) <= order.count(index) <= math.ceil(expected + 1e-9)


@given(size=sizes, batch_size=batch_sizes, seed=seeds, skip=st.integers(0, 9), weighted=st.booleans())
def test_an_epoch_can_skip_its_first_batches(size: int, batch_size: int, seed: int, skip: int, weighted: bool) -> None:
    weights = torch.arange(1, size + 1, dtype=torch.float64) if weighted else torch.ones(size)
    sampler = EpochSampler(weights, batch_size, seed)
    rest = drawn(EpochSampler(weights, batch_size, seed), 2, skip)
    assert rest == drawn(sampler, 2)[skip * batch_size :]


def test_epochs_and_seeds_differ_in_their_order() -> None:
    sampler = EpochSampler(torch.ones(50), 8, 1)
    orders = [drawn(sampler, 1), drawn(sampler, 2), drawn(EpochSampler(torch.ones(50), 8, 2), 1)]
    assert len({tuple(order) for order in orders}) == 3


def test_weights_follow_the_tiers_and_untiered_bundles_count_as_easy() -> None:
    curriculum = Curriculum(tier1_easy=1.0, tier2_robust=2.0, tier3_adversarial=4.0)
    tiers = ["tier3_adversarial", None, "tier2_robust", "tier1_easy"]
    assert sampling_weights(tiers, curriculum).tolist() == [4.0, 1.0, 2.0, 1.0]


def test_exposures_are_the_expected_draws_of_a_tier3_bundle() -> None:
    tiers = ["tier3_adversarial"] * 10 + ["tier1_easy"] * 150 + [None] * 10
    curriculum = Curriculum(tier3_adversarial=4.0)
    # p(tier3) = 4 x 10 / (4 x 10 + 160) = 0.2: draws x 0.2 / 10
    assert tier3_exposures(500, tiers, curriculum) == pytest.approx(10.0)
    weights = sampling_weights(tiers, curriculum)
    drawn = [index for epoch in range(1, 4) for index in drawn_in(weights, epoch)]
    expected = tier3_exposures(len(drawn), tiers, curriculum)
    assert expected == pytest.approx(sum(index < 10 for index in drawn) / 10, rel=0.05)
    assert tier3_exposures(500, tiers[10:], curriculum) is None


def drawn_in(weights: torch.Tensor, epoch: int) -> list[int]:
    return drawn(EpochSampler(weights, 7, 1), epoch)
