"""The SenseHead: attention pooling over an encoder's token states, then a projection to a unit vector."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from engine.encoder.token_states import RaggedBatch
from engine.model.ragged import segment_softmax, weighted_sum


class SenseHeadOutput(NamedTuple):
    """Output for B texts of N tokens: ``embedding`` (B, E) of unit length, ``attention`` (N,) summing to 1 per text."""

    embedding: Tensor
    attention: Tensor


class SenseHead(nn.Module):
    """Scorer Linear(H, H/4)-Tanh-Linear(H/4, 1), softmax, weighted sum, Linear(H, H)-GELU-Dropout-Linear(H, E),
    LayerNorm, L2 norm; on ragged batches.

    Args:
        width: H, the size of a token's state.
        embedding_size: E.
        dropout: probability of dropping a hidden unit of the projection while training.
        seed: of the initial weights.
    """

    def __init__(self, width: int, embedding_size: int = 256, dropout: float = 0.1, *, seed: int) -> None:
        super().__init__()
        self.dropout = dropout
        # initial weights depend on the seed alone and leave the global random state as it was
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.scorer = nn.Sequential(nn.Linear(width, width // 4), nn.Tanh(), nn.Linear(width // 4, 1))
            self.hidden = nn.Linear(width, width)
            self.output = nn.Linear(width, embedding_size)
            self.norm = nn.LayerNorm(embedding_size)

    def forward(self, batch: RaggedBatch, generator: Generator | None = None) -> SenseHeadOutput:
        """Pool each text of ``batch``: tokens (N, H) of B texts -> embedding (B, E), attention (N,).

        Args:
            generator: the source of dropout's randomness, on the batch's device; None drops nothing (evaluation).
        """
        scores = self.scorer(batch.tokens).squeeze(-1)  # (N,)
        attention = segment_softmax(scores, batch.offsets)  # (N,)
        pooled = weighted_sum(batch.tokens, attention, batch.offsets)  # (B, H)
        hidden = F.gelu(self.hidden(pooled))  # (B, H)
        if generator is not None and self.dropout > 0.0:
            hidden = hidden * _dropout_mask(hidden, self.dropout, generator)
        embedding = F.normalize(self.norm(self.output(hidden)), dim=-1)  # (B, E)
        return SenseHeadOutput(embedding, attention)


def _dropout_mask(values: Tensor, dropout: float, generator: Generator) -> Tensor:
    """Mask of inverted dropout: 0 with probability ``dropout``, else 1 / (1 - dropout)."""
    # F.dropout takes no generator, and a resumed run must continue the random stream of the interrupted one
    uniform = torch.rand(values.shape, generator=generator, device=values.device)
    return (uniform >= dropout).to(values.dtype) / (1.0 - dropout)
