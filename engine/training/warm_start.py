"""The warm start: a fresh head is given the similarities of frozen mean pooling before it learns senses."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.contract.experiment import Training
from engine.model.mean_pool_start import start_from_mean_pool
from engine.model.sense_head import SenseHead
from engine.training.adamw import AdamW, cosine
from engine.training.batch_loss import Inputs
from engine.training.curriculum import EpochSampler


def similarity_gap(embedding: Tensor, mean_pool: Tensor) -> Tensor:
    """Mean squared difference between two models' cosine similarities over all pairs of texts: (U, E), (U, H) -> ()."""
    return ((embedding @ embedding.T - mean_pool @ mean_pool.T) ** 2).mean()


def warm_start(head: SenseHead, optimizer: AdamW, data: Inputs, settings: Training, seed: int) -> Iterator[int]:
    """Start ``head`` as mean pooling, then train it to match its similarities within a batch; yield the steps done.

    Args:
        optimizer: of ``head``; it forgets these steps at the end.
        data: texts are drawn from its bundles, a bundle at a time, so that a batch holds the near pairs that matter.
    """
    states, bundles = data.states, data.bundles
    start_from_mean_pool(head, states, bundles.unique_texts()[0], seed)
    rate = settings.warm_start_learning_rate
    sampler = EpochSampler(torch.ones(len(bundles.anchor)), settings.batch_size, seed)
    step = 0
    epoch = 0
    while step < settings.warm_start_steps:
        for chosen in sampler.epoch(epoch):
            if step == settings.warm_start_steps:
                break
            rows, _ = bundles.take(chosen.to(states.device)).unique_texts()
            optimizer.clear()
            similarity_gap(head(states.gather(rows)).embedding, data.mean_pool[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step(cosine(step, settings.warm_start_steps, rate, settings.final_learning_rate_ratio))
            step += 1
            yield step
        epoch += 1
    optimizer.forget()
