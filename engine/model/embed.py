"""Embeds any number of texts, a bounded number of tokens at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from engine.encoder.token_states import RaggedBatch, TokenStates
from engine.model.mean_pool import mean_pool
from engine.model.ragged import segment_entropy, segment_mean
from engine.model.sense_head import Pooled, SenseHead

CHUNK_TOKENS = 16_384


def mean_pool_all(states: TokenStates) -> Tensor:
    """Frozen mean pooling of every text of the table: (texts, H) float32, unit rows."""
    return _embed(states, torch.arange(len(states.texts), device=states.device), mean_pool)


def mean_states(states: TokenStates, rows: Tensor) -> Tensor:
    """The mean token state of each text in ``rows`` (R,), not normalized: (R, H) float32."""
    return _embed(states, rows, lambda batch: segment_mean(*batch))


def embed_rows(head: SenseHead, states: TokenStates, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate ``head`` on the texts in ``rows`` (R,): embeddings (R, E), and attention entropy / log T (R,)."""
    evenness = []

    def embed(batch: RaggedBatch) -> Tensor:
        pooled: Pooled = head(batch)
        evenness.append(relative_entropy(pooled.attention, batch.offsets))
        return pooled.embedding

    return _embed(states, rows, embed), torch.cat(evenness) if evenness else torch.zeros(0)


def relative_entropy(attention: Tensor, offsets: Tensor) -> Tensor:
    """Entropy / log T of each text's attention, so that 1.0 is uniform; a text of one token has 1.0: (N,) -> (texts,)."""
    most = (offsets[1:] - offsets[:-1]).to(attention.dtype).log()
    ratio = segment_entropy(attention, offsets) / most.clamp(min=1e-9)
    return torch.where(most > 0, ratio, torch.ones_like(ratio))


def _embed(states: TokenStates, rows: Tensor, embed: Callable[[RaggedBatch], Tensor]) -> Tensor:
    with torch.no_grad():
        parts: list[Tensor] = [embed(states.gather(part)) for part in _chunks(states, rows)]
    return torch.cat(parts) if parts else torch.zeros(0, states.width, device=states.device)


def _chunks(states: TokenStates, rows: Tensor) -> Iterator[Tensor]:
    """``rows`` in order, cut so that each part has about ``CHUNK_TOKENS`` tokens."""
    if len(rows) == 0:
        return
    ends = (states.offsets[rows + 1] - states.offsets[rows]).cumsum(0)
    part = torch.div(ends - 1, CHUNK_TOKENS, rounding_mode="floor")
    sizes = torch.unique_consecutive(part, return_counts=True)[1]
    yield from torch.split(rows, sizes.tolist())
