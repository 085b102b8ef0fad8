"""The SenseHead: ragged equals padded, forwards and backwards; dropout; seeds."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, nn

from engine.encoder.token_states import RaggedBatch
from engine.model.head import dropout_mask
from engine.model.sense_head import SenseHead
from tests.engine.model.padded_reference import padded_head
from tests.engine.samples import DEVICES, ragged_lengths

WIDTH, SIZE = 24, 16


def random_batch(lengths: list[int], seed: int = 0, device: str = "cpu") -> RaggedBatch:
    tokens = torch.randn(sum(lengths), WIDTH, generator=Generator().manual_seed(seed))
    offsets = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    on_target, is_gloss = torch.zeros(len(tokens), dtype=torch.bool), torch.zeros(len(lengths), dtype=torch.bool)
    return RaggedBatch(tokens.to(device), offsets.to(device), on_target.to(device), is_gloss.to(device))


def head_on(device: str, seed: int = 5) -> SenseHead:
    return SenseHead(WIDTH, SIZE, seed=seed).to(device)


def test_the_architecture() -> None:
    head = SenseHead(384, seed=0)
    shapes = {name: tuple(value.shape) for name, value in head.named_parameters()}
    assert shapes == {
        "scorer.0.weight": (96, 384),
        "scorer.0.bias": (96,),
        "scorer.2.weight": (1, 96),
        "scorer.2.bias": (1,),
        "hidden.weight": (384, 384),
        "hidden.bias": (384,),
        "output.weight": (256, 384),
        "output.bias": (256,),
        "norm.weight": (256,),
        "norm.bias": (256,),
    }
    assert isinstance(head.scorer[1], nn.Tanh)
    assert head.dropout == pytest.approx(0.1)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=30)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=8), seed=st.integers(0, 50))
def test_the_ragged_head_equals_the_padded_head(device: str, lengths: list[int], seed: int) -> None:
    batch, head = random_batch(lengths, seed, device), head_on(device)
    pooled = head(batch)
    embedding, attention = padded_head(head, batch)
    torch.testing.assert_close(pooled.embedding, embedding, atol=1e-6, rtol=0)
    flat = torch.cat([row[:length] for row, length in zip(attention, lengths, strict=True)])
    torch.testing.assert_close(pooled.attention, flat, atol=1e-6, rtol=0)


@pytest.mark.parametrize("device", DEVICES)
def test_gradients_are_those_of_the_padded_head_in_double_precision(device: str) -> None:
    batch = random_batch(ragged_lengths(13, 1), device=device)
    ragged, reference = head_on(device), copy.deepcopy(head_on("cpu")).double()
    target = torch.randn(13, SIZE, generator=Generator().manual_seed(2))
    (ragged(batch).embedding * target.to(device)).sum().backward()
    doubled = RaggedBatch(batch.tokens.double().cpu(), batch.offsets.cpu(), batch.on_target.cpu(), batch.is_gloss.cpu())
    (padded_head(reference, doubled)[0] * target.double()).sum().backward()  # type: ignore[no-untyped-call]
    for (name, parameter), other in zip(ragged.named_parameters(), reference.parameters(), strict=True):
        assert parameter.grad is not None
        assert other.grad is not None
        scale = float(other.grad.abs().max().clamp(min=1.0))
        torch.testing.assert_close(
            parameter.grad.double().cpu() / scale,
            other.grad / scale,
            atol=1e-5,
            rtol=0,
            msg=name,
        )


@pytest.mark.parametrize("device", DEVICES)
def test_two_passes_over_one_batch_are_the_same_bits(device: str) -> None:
    batch = random_batch(ragged_lengths(40, 3), device=device)
    seen = []
    for _ in range(2):
        head = head_on(device)
        pooled = head(batch, Generator(device).manual_seed(9))
        pooled.embedding[:, 0].sum().backward()
        gradient = head.scorer[0].weight.grad
        assert gradient is not None
        seen.append((pooled.embedding, pooled.attention, gradient))
    assert all(torch.equal(one, other) for one, other in zip(*seen, strict=True))


def test_dropout_drops_only_with_a_generator_and_keeps_the_mean() -> None:
    batch = random_batch([4] * 200)
    head = SenseHead(WIDTH, SIZE, 0.5, seed=1)
    without_dropout = head(batch).embedding
    assert torch.equal(without_dropout, head(batch).embedding)
    dropped = head(batch, Generator().manual_seed(0)).embedding
    assert not torch.equal(without_dropout, dropped)
    assert torch.equal(SenseHead(WIDTH, SIZE, 0.0, seed=1)(batch, Generator()).embedding, without_dropout)
    mask = dropout_mask(torch.empty(100, 100), 0.3, Generator().manual_seed(1))
    assert sorted(set(mask.flatten().tolist())) == pytest.approx([0.0, 1 / 0.7])
    assert float(mask.mean()) == pytest.approx(1.0, abs=0.02)


def test_the_seed_decides_the_initial_weights_and_nothing_else_does() -> None:
    torch.manual_seed(1)
    first, state = SenseHead(WIDTH, SIZE, seed=3), torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again, other = SenseHead(WIDTH, SIZE, seed=3), SenseHead(WIDTH, SIZE, seed=4)
    assert torch.equal(first.hidden.weight, again.hidden.weight)
    assert not torch.equal(first.hidden.weight, other.hidden.weight)
