"""The SenseHead on padded batches, written as plainly as its definition: the reference for the ragged one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.encoder.token_states import RaggedBatch
from engine.model.sense_head import SenseHead


def pad(batch: RaggedBatch) -> tuple[Tensor, Tensor]:
    """States (B, T, H), zeros where there is no token, and mask (B, T)."""
    lengths = (batch.offsets[1:] - batch.offsets[:-1]).tolist()
    pieces = torch.split(batch.tokens, lengths)
    padded = torch.nn.utils.rnn.pad_sequence(list(pieces), batch_first=True)
    mask = torch.arange(padded.shape[1], device=padded.device) < torch.tensor(lengths, device=padded.device)[:, None]
    return padded, mask


def padded_head(head: SenseHead, batch: RaggedBatch) -> tuple[Tensor, Tensor]:
    """Embedding (B, E) and attention (B, T)."""
    states, mask = pad(batch)
    scores = head.scorer(states).squeeze(-1).masked_fill(~mask, float("-inf"))
    attention = torch.softmax(scores, dim=1)
    pooled = (attention.unsqueeze(-1) * states).sum(dim=1)
    projected = head.norm(head.output(F.gelu(head.hidden(pooled))))
    return F.normalize(projected, dim=-1), attention
