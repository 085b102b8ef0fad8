"""Warm start: a fresh head is set up as, and then trained towards, frozen mean pooling before it learns senses.

Training then starts at the baseline instead of below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, count, islice

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from engine.contract.experiment import Training
from engine.encoder.token_states import TokenStates
from engine.model.embedding import mean_states
from engine.model.encoder_head import EncoderHead
from engine.model.head import Head, unit_blocks
from engine.model.sense_head import SenseHead
from engine.training.adamw import AdamW, cosine_learning_rate
from engine.training.curriculum import EpochSampler
from engine.training.losses import TrainingData

# GELU is nearly linear within 0.5 around 1.0
GELU_CENTRE = 1.0
GELU_SPREAD = 0.5


def warm_start(head: Head, optimizer: AdamW, data: TrainingData, settings: Training, seed: int) -> Iterator[int]:
    """Initialize ``head`` as mean pooling, then train it on its frozen similarities in a batch; yield the steps done.

    Encoder layers that are trained later stay as they are, so their states are read from the cache.

    Args:
        optimizer: of ``head``; reset at the end.
        data: texts are drawn from its bundles, a bundle at a time, so that a batch holds the near pairs that matter.
    """
    states, bundles = data.states, data.bundles
    head = head.inner if isinstance(head, EncoderHead) else head
    if isinstance(head, SenseHead):
        init_as_mean_pool(head, states, bundles.unique_texts()[0], seed)
    peak = settings.warm_start_learning_rate
    sampler = EpochSampler(torch.ones(len(bundles.anchor)), settings.batch_size, seed)
    batches = chain.from_iterable(map(sampler.epoch, count()))
    for step, indices in enumerate(islice(batches, settings.warm_start_steps)):
        rows, _ = bundles.select(indices.to(states.device)).unique_texts()  # (U,)
        optimizer.zero_gradient()
        similarity_gap(head(states.gather(rows)).embedding, data.frozen[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step(cosine_learning_rate(step, settings.warm_start_steps, peak, settings.final_learning_rate_ratio))
        yield step + 1
    # its moments are of another loss, and training starts its own learning rate schedule
    optimizer.reset()


def similarity_gap(embedding: Tensor, frozen: Tensor) -> Tensor:
    """Mean squared difference between two models' cosine similarities over all pairs of texts: (U, E), (U, D) -> ()."""
    return ((embedding @ embedding.T - frozen @ frozen.T) ** 2).mean()


def init_as_mean_pool(head: SenseHead, states: TokenStates, rows: Tensor, seed: int) -> None:
    """Set the projection of ``head`` so that its similarities are those of mean pooling on the texts in ``rows`` (R,).

    The scorer keeps its weights: small random scores are nearly uniform attention. ``hidden`` becomes a rotation drawn
    from ``seed``, scaled so that GELU works where it is nearly linear. ``output`` undoes slope and shift of GELU there
    and projects on the texts' leading principal directions, at right angles to the all-ones vector, because LayerNorm
    removes that one. Each layer is scaled by its mean norm, as mean pooling weighs layers equally. What is lost: the
    smallest directions, GELU's curvature, and a text's own norm of each layer.
    """
    with torch.no_grad():
        pooled = mean_states(states, rows)  # (R, H)
        size, width = head.output.weight.shape  # E, H
        norms = pooled.view(len(pooled), head.layers, -1).norm(dim=2).mean(dim=0)  # (layers,)
        pooled = pooled / norms.repeat_interleave(width // head.layers)
        generator = Generator().manual_seed(seed)
        rotation = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q  # (H, H)
        directions = _principal_directions(
            F.normalize(unit_blocks(pooled, head.layers), dim=-1), min(width, size - 1)
        )  # (D, H)
        frame = torch.cat([torch.ones(size, 1), torch.randn(size, len(directions), generator=generator)], dim=1)
        basis = torch.linalg.qr(frame).Q[:, 1:]  # (E, D), each column sums to 0

        scale = GELU_SPREAD / float(pooled.std())
        value, slope = _gelu(GELU_CENTRE)
        output = basis @ directions @ rotation.T / (scale * slope)  # (E, H)
        head.hidden.weight.copy_(rotation * scale / norms.repeat_interleave(width // head.layers))
        head.hidden.bias.fill_(GELU_CENTRE)
        head.output.weight.copy_(output)
        head.output.bias.copy_(-value * output.sum(dim=1))


def _principal_directions(vectors: Tensor, count: int) -> Tensor:
    """The ``count`` leading directions of ``vectors`` (R, H), not centred: -> (count, H) float32 on the CPU."""
    moments = (vectors.T @ vectors).to("cpu", torch.float64)
    _, directions = torch.linalg.eigh(moments)
    leading: Tensor = directions.T.flip(0)[:count].float()
    return leading


def _gelu(x: float) -> tuple[float, float]:
    """Value and slope of GELU(x) = x * Phi(x)."""
    cumulative = 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))
    density = math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return x * cumulative, cumulative + x * density
