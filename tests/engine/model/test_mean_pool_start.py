"""A head started from mean pooling has its similarities."""

from __future__ import annotations

import pytest
import torch

from engine.model.embed import embed_rows, mean_pool_all
from engine.model.mean_pool_start import start_from_mean_pool
from engine.model.sense_head import SenseHead
from tests.engine.made_up import DEVICES, random_states

TEXTS = tuple(f"text {number} {'y' * (number % 13)}" for number in range(120))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("width", "size"), [(24, 64), (96, 64)])
def test_similarities_start_as_those_of_mean_pooling(width: int, size: int, device: str) -> None:
    states = random_states(TEXTS, width, device=device)
    rows = torch.arange(len(TEXTS), device=device)
    head = SenseHead(width, size, seed=2).to(device)
    pooled = mean_pool_all(states)

    def gap() -> float:
        ours, _ = embed_rows(head, states, rows)
        return float((ours @ ours.T - pooled @ pooled.T).abs().mean())

    before = gap()
    start_from_mean_pool(head, states, rows, seed=2)
    assert gap() < 0.09
    assert gap() < before / 3


def test_different_seeds_start_at_different_weights() -> None:
    states, rows = random_states(TEXTS), torch.arange(len(TEXTS))
    heads = [SenseHead(12, 8, seed=0) for _ in range(3)]
    for head, seed in zip(heads, (1, 1, 2), strict=True):
        start_from_mean_pool(head, states, rows, seed)
    assert torch.equal(heads[0].output.weight, heads[1].output.weight)
    assert not torch.equal(heads[0].output.weight, heads[2].output.weight)
