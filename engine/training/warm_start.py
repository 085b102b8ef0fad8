"""The warm start: teaches a fresh head the similarities of frozen mean pooling before it learns senses."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.contract.experiment import Training
from engine.encoder.token_states import TokenStates
from engine.model.sense_head import SenseHead
from engine.training.bundle_arrays import BundleArrays
from engine.training.curriculum import EpochSampler
from engine.training.schedule import cosine


def similarity_gap(embedding: Tensor, mean_pool: Tensor) -> Tensor:
    """Mean squared difference between two models' cosine similarities over all pairs of texts: (U, E), (U, H) -> ()."""
    return ((embedding @ embedding.T - mean_pool @ mean_pool.T) ** 2).mean()


def warm_start(
    head: SenseHead, states: TokenStates, mean_pool: Tensor, bundles: BundleArrays, settings: Training, seed: int
) -> Iterator[int]:
    """Train ``head`` in place to match mean pooling's similarities within a batch; yield the steps done.

    Args:
        mean_pool: (texts, H), frozen mean pooling of every text of ``states``.
        bundles: texts are drawn a bundle at a time, so that a batch holds the near pairs that matter.
    """
    rate = settings.warm_start_learning_rate
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=settings.weight_decay)
    sampler = EpochSampler(torch.ones(len(bundles.anchor)), settings.batch_size, seed)
    step = 0
    epoch = 0
    while step < settings.warm_start_steps:
        for chosen in sampler.epoch(epoch):
            if step == settings.warm_start_steps:
                break
            rows, _ = bundles.take(chosen.to(states.device)).unique_texts()
            for group in optimizer.param_groups:
                group["lr"] = cosine(step, settings.warm_start_steps, rate, settings.final_learning_rate_ratio)
            optimizer.zero_grad(set_to_none=True)
            similarity_gap(head(states.gather(rows)).embedding, mean_pool[rows]).backward()
            optimizer.step()
            step += 1
            yield step
        epoch += 1
