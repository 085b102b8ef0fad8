"""Ragged operations against loops over segments."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine.model.ragged import segment_entropy, segment_mean, segment_softmax, segment_sum, weighted_sum
from tests.engine.samples import DEVICES

lengths_drawn = st.lists(st.integers(1, 12), min_size=1, max_size=9)


def random_segments(lengths: list[int], seed: int, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Scores (N,) and tokens (N, 5), float64, and offsets (B + 1,)."""
    generator = torch.Generator().manual_seed(seed)
    scores = 5 * torch.randn(sum(lengths), generator=generator, dtype=torch.float64)
    tokens = torch.randn(sum(lengths), 5, generator=generator, dtype=torch.float64)
    offsets = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    return scores.to(device), tokens.to(device), offsets.to(device)


@pytest.mark.parametrize("device", DEVICES)
@given(lengths=lengths_drawn, seed=st.integers(0, 99))
def test_each_operation_equals_a_loop_over_segments(device: str, lengths: list[int], seed: int) -> None:
    scores, tokens, offsets = random_segments(lengths, seed, device)
    weights = segment_softmax(scores, offsets)
    entropies = segment_entropy(weights, offsets)
    for index, (segment, inputs, states, part) in enumerate(
        zip(*(torch.split(flat, lengths) for flat in (weights, scores, tokens)), lengths, strict=True)
    ):
        torch.testing.assert_close(segment, torch.softmax(inputs, 0))
        torch.testing.assert_close(segment_sum(scores, offsets)[index], inputs.sum())
        torch.testing.assert_close(segment_mean(tokens, offsets)[index], states.mean(0))
        torch.testing.assert_close(weighted_sum(tokens, weights, offsets)[index], segment @ states)
        torch.testing.assert_close(entropies[index], -(segment * segment.log()).sum())
        assert -1e-12 <= float(entropies[index]) <= math.log(part) + 1e-12


@given(lengths=lengths_drawn, seed=st.integers(0, 99), scale=st.sampled_from([1e3, 1e6]))
def test_softmax_survives_scores_of_any_size(lengths: list[int], seed: int, scale: float) -> None:
    scores, _, offsets = random_segments(lengths, seed)
    weights = segment_softmax(scores * scale, offsets)
    assert bool(torch.isfinite(weights).all())
    torch.testing.assert_close(segment_sum(weights, offsets), torch.ones(len(lengths), dtype=torch.float64))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("least", [0.0, 0.6])
def test_attention_that_is_all_on_one_token_has_a_finite_entropy_and_gradient(device: str, least: float) -> None:
    # exp(-200) is 0 in single precision
    scores = torch.tensor([0.0, 200.0, 1.0, 0.0], device=device, requires_grad=True)
    entropy = segment_entropy(segment_softmax(scores, offsets := torch.tensor([0, 2, 4], device=device)), offsets)
    assert entropy.tolist()[0] == 0.0 < entropy.tolist()[1]
    torch.relu(least - entropy).sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert bool(torch.isfinite(scores.grad).all())
    assert bool(scores.grad[2:].any()) == (least > entropy.tolist()[1])


@pytest.mark.parametrize("device", DEVICES)
def test_gradients_are_those_of_finite_differences(device: str) -> None:
    scores, tokens, offsets = random_segments([3, 1, 4], 0, device)

    def pooled(inputs: Tensor) -> Tensor:
        weights = segment_softmax(inputs, offsets)
        entropy = segment_entropy(weights, offsets).unsqueeze(1)
        return torch.cat([weighted_sum(tokens, weights, offsets), entropy], dim=1)

    assert torch.autograd.gradcheck(pooled, scores.requires_grad_())
