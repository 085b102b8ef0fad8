"""What every head is: it pools the token states of texts to unit vectors, and starts from frozen vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import Parameter
from torch.nn import functional as F

from engine.encoder.token_states import RaggedBatch
from engine.model.ragged import segment_mean


class HeadOutput(NamedTuple):
    """Output for B texts of N tokens: ``embedding`` (B, E) of unit length, ``attention`` (N,) summing to 1 per text."""

    embedding: Tensor
    attention: Tensor


class Head(nn.Module, ABC):
    """A head on the token states of ``layers`` encoder layers, joined to a width of H.

    Attributes:
        layers: number of layers whose states are joined.
        needs_warm_start: whether its first similarities differ from those of its frozen vectors.
        needs_tokens: whether ``forward`` reads token states although it is given the frozen vectors.
    """

    layers: int
    needs_warm_start: bool
    needs_tokens: bool = True

    @abstractmethod
    def forward(
        self, batch: RaggedBatch, generator: Generator | None = None, frozen: Tensor | None = None
    ) -> HeadOutput:
        """Pool each text of ``batch``: tokens (N, H) of B texts -> embedding (B, E), attention (N,).

        Args:
            generator: the source of dropout's randomness, on the batch's device; None drops nothing (evaluation).
            frozen: what ``frozen`` gives for the batch, (B, D), where it is known already.
        """

    def encoder_parameters(self) -> list[Parameter]:
        """The weights of the encoder that are trained with the head, at a learning rate of their own."""
        return []

    @abstractmethod
    def frozen(self, batch: RaggedBatch) -> Tensor:
        """The unit vectors that training starts from and is pulled to; nothing that is trained changes them: (B, D)."""


def mean_pool(batch: RaggedBatch, layers: int) -> Tensor:
    """Frozen mean pooling, the mean token state; several layers are of equal weight: (N, H) -> (B, H), unit rows."""
    return F.normalize(unit_blocks(segment_mean(batch.tokens, batch.offsets), layers), dim=-1)


def unit_blocks(vectors: Tensor, layers: int) -> Tensor:
    """Each layer's block of each vector scaled to unit length: (B, H) -> (B, H)."""
    # the norms of layers differ several times over, so that joined as they are one layer would hide the others
    return F.normalize(vectors.view(len(vectors), layers, -1), dim=-1).view(len(vectors), -1)


def dropout_mask(values: Tensor, dropout: float, generator: Generator) -> Tensor:
    """Mask of inverted dropout: 0 with probability ``dropout``, else 1 / (1 - dropout)."""
    # F.dropout takes no generator, and a resumed run must continue the random stream of the interrupted one
    uniform = torch.rand(values.shape, generator=generator, device=values.device)
    return (uniform >= dropout).to(values.dtype) / (1.0 - dropout)
