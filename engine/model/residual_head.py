"""The residual head: a fixed mix of frozen vectors, and a correction that is learned from zero."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from engine.encoder.token_states import RaggedBatch
from engine.model.head import Head, HeadOutput, dropout_mask, unit_blocks
from engine.model.ragged import segment_mean, segment_sum, weighted_sum


class ResidualHead(Head):
    """Two towers, one for contexts and one for glosses; each is a fixed start plus a residual that begins at zero.

    The start of a text joins, for every encoder layer, the mean of all its tokens, and then, for every layer, the mean of
    its target word's tokens; each block has unit length and a fixed weight. A text without a target word has its means
    again. The residual is Linear(D, hidden)-GELU-Dropout-Linear(hidden, D), D = 2 H; start plus residual is scaled to
    unit length.

    Args:
        width: H, the size of a token's state, of all ``layers`` joined.
        layers: number of encoder layers joined in H.
        hidden_size, dropout: of the residual.
        context_weights, gloss_weights: 2 x layers weights of each tower's blocks: the means, then the target word's.
        seed: of the initial weights.
    """

    needs_warm_start = False
    needs_tokens = False
    block_weights: Tensor

    def __init__(
        self,
        width: int,
        layers: int,
        hidden_size: int,
        dropout: float,
        context_weights: Sequence[float],
        gloss_weights: Sequence[float],
        *,
        seed: int,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.dropout = dropout
        blocks = torch.tensor([context_weights, gloss_weights], dtype=torch.float32)  # (2, 2 x layers)
        self.register_buffer("block_weights", blocks, persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.contexts = _residual(2 * width, hidden_size)
            self.glosses = _residual(2 * width, hidden_size)

    def forward(
        self, batch: RaggedBatch, generator: Generator | None = None, frozen: Tensor | None = None
    ) -> HeadOutput:
        start = self.frozen(batch) if frozen is None else frozen  # (B, D)
        vectors = start
        for tower, rows in ((self.contexts, ~batch.is_gloss), (self.glosses, batch.is_gloss)):
            (indices,) = rows.nonzero(as_tuple=True)
            corrected = start[indices] + self._correction(tower, start[indices], generator)
            vectors = vectors.index_put((indices,), corrected)
        return HeadOutput(F.normalize(vectors, dim=-1), self._attention(batch))

    def frozen(self, batch: RaggedBatch) -> Tensor:
        mean = unit_blocks(segment_mean(batch.tokens, batch.offsets), self.layers)  # (B, H)
        target = unit_blocks(weighted_sum(batch.tokens, _target_weights(batch), batch.offsets), self.layers)  # (B, H)
        blocks = torch.cat([mean, target], dim=1).view(len(mean), 2 * self.layers, -1)
        weighted = blocks * self.block_weights[batch.is_gloss.long()].unsqueeze(-1)
        return F.normalize(weighted.view(len(mean), -1), dim=-1)

    def _correction(self, tower: nn.Sequential, start: Tensor, generator: Generator | None) -> Tensor:
        hidden = F.gelu(tower[0](start))  # (B, hidden)
        if generator is not None and self.dropout > 0.0:
            hidden = hidden * dropout_mask(hidden, self.dropout, generator)
        correction: Tensor = tower[1](hidden)  # (B, D)
        return correction

    def _attention(self, batch: RaggedBatch) -> Tensor:
        """The weight of each token in the start, by the squared weights of its blocks: (N,), 1 for each text."""
        squares = self.block_weights.square()
        of_target = squares[:, self.layers :].sum(1) / squares.sum(1)  # (2,)
        lengths = batch.offsets[1:] - batch.offsets[:-1]
        share = of_target[batch.is_gloss.long()].repeat_interleave(lengths, output_size=len(batch.on_target))
        uniform = (1.0 / lengths).repeat_interleave(lengths, output_size=len(batch.on_target))
        return share * _target_weights(batch) + (1.0 - share) * uniform


def _residual(width: int, hidden_size: int) -> nn.Sequential:
    last = nn.Linear(hidden_size, width)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, hidden_size), last)


def _target_weights(batch: RaggedBatch) -> Tensor:
    """Weights of the mean over each text's target word, over all its tokens where it has none: (N,)."""
    lengths = batch.offsets[1:] - batch.offsets[:-1]
    count = segment_sum(batch.on_target.float(), batch.offsets)  # (B,)
    weights = torch.where(count > 0, 1.0 / count.clamp(min=1.0), 1.0 / lengths)
    everywhere = (count == 0).repeat_interleave(lengths, output_size=len(batch.on_target))
    return weights.repeat_interleave(lengths, output_size=len(batch.on_target)) * (batch.on_target | everywhere)
