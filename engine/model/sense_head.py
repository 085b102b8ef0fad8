"""The SenseHead: attention pooling over an encoder's token states, then a projection to a unit vector."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from engine.encoder.token_states import RaggedBatch
from engine.model.head import Head, HeadOutput, dropout_mask, mean_pool
from engine.model.ragged import segment_softmax, weighted_sum


class SenseHead(Head):
    """Attention pooling of a text's token states, and a projection of the pooled state to a unit vector.

    The layers in order: Linear(H, H/4)-Tanh-Linear(H/4, 1) scores each token; softmax over the text; the weighted sum;
    Linear(H, H)-GELU-Dropout-Linear(H, E), LayerNorm, L2 norm. Its frozen vectors are those of mean pooling.

    Args:
        width: H, the size of a token's state.
        embedding_size: E.
        dropout: probability of dropping a hidden unit of the projection while training.
        layers: number of encoder layers joined in H.
        seed: of the initial weights.
    """

    needs_warm_start = True

    def __init__(
        self, width: int, embedding_size: int = 256, dropout: float = 0.1, *, layers: int = 1, seed: int
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.layers = layers
        # initial weights depend on the seed alone and leave the global random state as it was
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.scorer = nn.Sequential(nn.Linear(width, width // 4), nn.Tanh(), nn.Linear(width // 4, 1))
            self.hidden = nn.Linear(width, width)
            self.output = nn.Linear(width, embedding_size)
            self.norm = nn.LayerNorm(embedding_size)

    def forward(
        self, batch: RaggedBatch, generator: Generator | None = None, frozen: Tensor | None = None
    ) -> HeadOutput:
        scores = self.scorer(batch.tokens).squeeze(-1)  # (N,)
        attention = segment_softmax(scores, batch.offsets)  # (N,)
        pooled = weighted_sum(batch.tokens, attention, batch.offsets)  # (B, H)
        hidden = F.gelu(self.hidden(pooled))  # (B, H)
        if generator is not None and self.dropout > 0.0:
            hidden = hidden * dropout_mask(hidden, self.dropout, generator)
        embedding = F.normalize(self.norm(self.output(hidden)), dim=-1)  # (B, E)
        return HeadOutput(embedding, attention)

    def frozen(self, batch: RaggedBatch) -> Tensor:
        return mean_pool(batch, self.layers)
