"""Embeddings of many texts, a bounded number of tokens at a time: by frozen mean pooling and by a head."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from engine.encoder.token_states import RaggedBatch, TokenStates
from engine.model.head import Head, HeadOutput, mean_pool
from engine.model.ragged import segment_entropy, segment_mean

CHUNK_TOKENS = 16_384


def mean_pool_of(states: TokenStates, rows: Tensor) -> Tensor:
    """Frozen mean pooling of the inputs in ``rows`` (R,): (R, H) float32, unit rows."""
    return _embed(states, rows, lambda batch: mean_pool(batch, states.layers))


def frozen_all(head: Head, states: TokenStates) -> Tensor:
    """The frozen vectors of ``head`` of every input of the table: (inputs, D) float32, unit rows."""
    return _embed(states, _all_rows(states), head.frozen)


def mean_states(states: TokenStates, rows: Tensor) -> Tensor:
    """The mean token state of each text in ``rows`` (R,), not normalized: (R, H) float32."""
    return _embed(states, rows, lambda batch: segment_mean(batch.tokens, batch.offsets))


def embed_rows(head: Head, states: TokenStates, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate ``head`` on the texts in ``rows`` (R,): embeddings (R, E), and attention entropy / log T (R,)."""
    entropies = []

    def embed(batch: RaggedBatch) -> Tensor:
        output: HeadOutput = head(batch)
        entropies.append(relative_entropy(output.attention, batch.offsets))
        return output.embedding

    return _embed(states, rows, embed), torch.cat(entropies) if entropies else torch.zeros(0)


def attend_rows(head: Head, states: TokenStates, rows: Tensor) -> list[Tensor]:
    """Attention of ``head`` on the tokens of each text in ``rows`` (R,): R tensors (T,) on the CPU."""
    if len(rows) == 0:
        return []
    attention = _embed(states, rows, lambda batch: head(batch).attention).cpu()  # (N,)
    return list(torch.split(attention, (states.offsets[rows + 1] - states.offsets[rows]).tolist()))


def relative_entropy(attention: Tensor, offsets: Tensor) -> Tensor:
    """Entropy / log T of each text's attention, so that 1.0 is uniform; a text of one token has 1.0: (N,) -> (texts,)."""
    maximum = (offsets[1:] - offsets[:-1]).to(attention.dtype).log()
    ratio = segment_entropy(attention, offsets) / maximum.clamp(min=1e-9)
    return torch.where(maximum > 0, ratio, torch.ones_like(ratio))


def _all_rows(states: TokenStates) -> Tensor:
    return torch.arange(len(states.inputs), device=states.device)


def _embed(states: TokenStates, rows: Tensor, embed: Callable[[RaggedBatch], Tensor]) -> Tensor:
    """Apply ``embed`` to the texts in ``rows``, in chunks of about ``CHUNK_TOKENS`` tokens."""
    if len(rows) == 0:
        return torch.zeros(0, states.width, device=states.device)
    ends = (states.offsets[rows + 1] - states.offsets[rows]).cumsum(0)
    chunk = torch.div(ends - 1, CHUNK_TOKENS, rounding_mode="floor")
    sizes = torch.unique_consecutive(chunk, return_counts=True)[1]
    with torch.no_grad():
        return torch.cat([embed(states.gather(part)) for part in torch.split(rows, sizes.tolist())])
