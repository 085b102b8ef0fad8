"""Warm start: a head's similarities start at, and are trained towards, those of mean pooling."""

from __future__ import annotations

import pytest
import torch

from engine.contract.experiment import Training
from engine.model.embedding import embed_rows
from engine.model.sense_head import SenseHead
from engine.training.adamw import AdamW
from engine.training.bundle_arrays import BundleArrays
from engine.training.losses import TrainingData
from engine.training.warm_start import init_as_mean_pool, similarity_gap, warm_start
from tests.engine.samples import DEVICES, SENSE_TEXT, SenseTask, mean_pool_all, random_states


def gap_after(steps: int) -> float:
    task = SenseTask()
    mean_pool = mean_pool_all(task.states)
    data = TrainingData(task.states, mean_pool, BundleArrays.from_bundles(task.train, task.states, SENSE_TEXT))
    head = SenseHead(task.states.width, 32, seed=1)
    optimizer = AdamW(head, 0.0)
    settings = Training(warm_start_steps=steps, warm_start_learning_rate=3e-3, batch_size=8)
    assert list(warm_start(head, optimizer, data, settings, seed=1)) == list(range(1, steps + 1))
    assert optimizer.steps == 0
    rows, _ = data.bundles.unique_texts()
    with torch.no_grad():
        return float(similarity_gap(head(task.states.gather(rows)).embedding, mean_pool[rows]))


def test_steps_reduce_the_gap() -> None:
    assert gap_after(60) < 0.7 * gap_after(0)


def test_the_gap_is_the_mean_squared_difference_over_all_pairs() -> None:
    head, mean_pool = torch.eye(3), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert float(similarity_gap(head, mean_pool)) == pytest.approx(2 / 9)


TEXTS = tuple(f"text {number} {'y' * (number % 13)}" for number in range(120))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("width", "size"), [(24, 64), (96, 64)])
def test_similarities_start_as_those_of_mean_pooling(width: int, size: int, device: str) -> None:
    states = random_states(TEXTS, width, device=device)
    rows = torch.arange(len(TEXTS), device=device)
    head = SenseHead(width, size, seed=2).to(device)
    pooled = mean_pool_all(states)

    def gap() -> float:
        embedding, _ = embed_rows(head, states, rows)
        return float((embedding @ embedding.T - pooled @ pooled.T).abs().mean())

    before = gap()
    init_as_mean_pool(head, states, rows, seed=2)
    assert gap() < 0.09
    assert gap() < before / 3


def test_different_seeds_start_at_different_weights() -> None:
    states, rows = random_states(TEXTS), torch.arange(len(TEXTS))
    heads = [SenseHead(12, 8, seed=0) for _ in range(3)]
    for head, seed in zip(heads, (1, 1, 2), strict=True):
        init_as_mean_pool(head, states, rows, seed)
    assert torch.equal(heads[0].output.weight, heads[1].output.weight)
    assert not torch.equal(heads[0].output.weight, heads[2].output.weight)
