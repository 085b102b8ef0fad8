"""Initial weights under which the SenseHead is, nearly, frozen mean pooling: training then starts where the baseline is."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from engine.encoder.token_states import RaggedBatch
from engine.model.ragged import segment_mean


def mean_pool(batch: RaggedBatch) -> Tensor:
    """Unit vectors of the mean token state: tokens (N, H) of B texts -> (B, H)."""
    return F.normalize(segment_mean(batch.tokens, batch.offsets), dim=-1)
