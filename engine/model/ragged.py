"""Softmax, sums and means over the segments of a flat token axis, without padding the token states.

Shapes: N tokens in all, B segments, ``offsets`` (B + 1,) int64 with ``offsets[0] == 0`` and ``offsets[-1] == N``; every
segment has one token or more. All operations are deterministic on CPU and CUDA: none sums by atomic additions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def segment_softmax(scores: Tensor, offsets: Tensor) -> Tensor:
    """Softmax within each segment: (N,) -> (N,), each segment sums to 1.

    Only the scalars are padded to (B, T); the (N, H) states never are.
    """
    shape, cells = _padded_layout(offsets, len(scores))
    padded = torch.full((shape[0] * shape[1],), float("-inf"), dtype=scores.dtype, device=scores.device)
    padded = padded.scatter(0, cells, scores)
    return torch.softmax(padded.view(shape), dim=1).view(-1).gather(0, cells)


def segment_sum(values: Tensor, offsets: Tensor) -> Tensor:
    """Sum of each segment's scalars: (N,) -> (B,)."""
    shape, cells = _padded_layout(offsets, len(values))
    padded = torch.zeros(shape[0] * shape[1], dtype=values.dtype, device=values.device)
    return padded.scatter(0, cells, values).view(shape).sum(dim=1)


def weighted_sum(tokens: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
    """Each segment's sum of ``weights[i] * tokens[i]``: (N, H), (N,) -> (B, H)."""
    # embedding_bag reads each state once; the product of weights and tokens would be a second (N, H) in memory
    every_token = torch.arange(len(tokens), device=tokens.device)
    return F.embedding_bag(every_token, tokens, offsets[:-1], mode="sum", per_sample_weights=weights)


def segment_mean(tokens: Tensor, offsets: Tensor) -> Tensor:
    """Mean of each segment's tokens: (N, H) -> (B, H)."""
    lengths = offsets[1:] - offsets[:-1]
    weights = torch.repeat_interleave(1.0 / lengths.to(tokens.dtype), lengths, output_size=len(tokens))
    return weighted_sum(tokens, weights, offsets)


def segment_entropy(weights: Tensor, offsets: Tensor) -> Tensor:
    """Entropy in nats of each segment's weights, which sum to 1: (N,) -> (B,)."""
    # a weight can be exactly 0 in floating point, where the logarithm's gradient is not finite
    above_zero = weights.clamp(min=torch.finfo(weights.dtype).tiny)
    return -segment_sum(weights * above_zero.log(), offsets)


def _padded_layout(offsets: Tensor, tokens: int) -> tuple[tuple[int, int], Tensor]:
    """The padded shape (B, T), and the flat cell (N,) in it of each of N ``tokens``."""
    lengths = offsets[1:] - offsets[:-1]
    segments, longest = len(lengths), int(lengths.max()) if len(lengths) else 0
    first = torch.arange(segments, device=offsets.device) * longest - offsets[:-1]
    # given the output size, CUDA need not synchronize to find it
    starts = torch.repeat_interleave(first, lengths, output_size=tokens)
    return (segments, longest), starts + torch.arange(tokens, device=offsets.device)
