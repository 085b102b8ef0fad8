"""The warm start brings a head's similarities to those of mean pooling."""

from __future__ import annotations

import pytest
import torch

from engine.contract.experiment import Training
from engine.model.embed import mean_pool_all
from engine.model.sense_head import SenseHead
from engine.training.adamw import AdamW
from engine.training.batch_loss import Inputs
from engine.training.bundle_arrays import BundleArrays
from engine.training.warm_start import similarity_gap, warm_start
from tests.engine.made_up import Task


def gap_after(steps: int) -> float:
    task = Task()
    mean_pool = mean_pool_all(task.states)
    data = Inputs(task.states, mean_pool, BundleArrays.of(task.train, task.states), None)
    head = SenseHead(task.states.width, 32, seed=1)
    optimizer = AdamW(head, 0.0)
    settings = Training(warm_start_steps=steps, warm_start_learning_rate=3e-3, batch_size=8)
    assert list(warm_start(head, optimizer, data, settings, seed=1)) == list(range(1, steps + 1))
    assert optimizer.steps == 0
    rows, _ = data.bundles.unique_texts()
    with torch.no_grad():
        return float(similarity_gap(head(task.states.gather(rows)).embedding, mean_pool[rows]))


def test_steps_bring_it_nearer() -> None:
    assert gap_after(60) < 0.7 * gap_after(0)


def test_the_gap_is_the_mean_squared_difference_over_all_pairs() -> None:
    ours, theirs = torch.eye(3), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert float(similarity_gap(ours, theirs)) == pytest.approx(2 / 9)
