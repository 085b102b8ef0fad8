"""Table of the token states of a set of texts, on one device; ragged batches are gathered from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor


class RaggedBatch(NamedTuple):
    """Batch of B texts of different lengths without padding, N tokens in all.

    tokens: (N, H) float32, the texts' token states one after another.
    offsets: (B + 1,) int64, text ``i`` is ``tokens[offsets[i]:offsets[i + 1]]``.
    """

    tokens: Tensor
    offsets: Tensor


class TokenStates:
    """Token states by text, on one device.

    Attributes:
        texts: the texts; a text's row is its index here.
        table: (N, H) float16, all texts' tokens one after another.
        offsets: (texts + 1,) int64 on the same device.
        characters: (N, 2) int32 on the CPU: each token's character span in its text; empty for special tokens.
    """

    def __init__(self, texts: Sequence[str], table: Tensor, offsets: Tensor, characters: Tensor) -> None:
        self.texts = tuple(texts)
        self.table = table
        self.offsets = offsets
        self.characters = characters
        self._rows = {text: row for row, text in enumerate(self.texts)}
        # on the CPU, because reading one number of a CUDA tensor waits for the GPU
        self._bounds: list[int] = offsets.tolist()

    @classmethod
    def from_pieces(
        cls, texts: Sequence[str], states: Sequence[Tensor], characters: Sequence[Tensor], device: str
    ) -> Self:
        """Join each text's (T, H) states and (T, 2) spans into one table on ``device``."""
        return cls.from_layers(texts, [states], characters, device)

    @classmethod
    def from_layers(
        cls, texts: Sequence[str], layers: Sequence[Sequence[Tensor]], characters: Sequence[Tensor], device: str
    ) -> Self:
        """Join each text's (T, H) states of each of L layers, and its (T, 2) spans, into one table of (N, L x H)."""
        lengths = torch.tensor([0, *map(len, characters)], dtype=torch.int64)
        spans = torch.cat(list(characters)) if characters else torch.zeros(0, 2, dtype=torch.int32)
        width = layers[0][0].shape[1] if characters else 1
        table = torch.empty(len(spans), len(layers) * width, dtype=torch.float16)
        for at, states in enumerate(layers):  # one layer at a time: the table may be a large part of the memory
            if states:
                table[:, at * width : (at + 1) * width] = torch.cat(list(states))
        return cls(texts, table.to(device), lengths.cumsum(0).to(device), spans)

    @property
    def width(self) -> int:
        """H, the size of one token's state."""
        return int(self.table.shape[1])

    @property
    def device(self) -> torch.device:
        return self.table.device

    def row(self, text: str) -> int:
        """The row of ``text``; KeyError when it is not in the table."""
        return self._rows[text]

    def rows(self, texts: Sequence[str]) -> Tensor:
        """(len(texts),) int64 on the table's device."""
        return torch.tensor([self._rows[text] for text in texts], dtype=torch.int64, device=self.device)

    def span(self, text: str) -> tuple[int, int]:
        """First and one past last position of ``text``'s tokens in the table."""
        row = self._rows[text]
        return self._bounds[row], self._bounds[row + 1]

    def gather(self, rows: Tensor) -> RaggedBatch:
        """The ragged batch of the texts in ``rows`` (B,), in that order, upcast to float32."""
        positions, offsets = self.token_positions(rows)
        return RaggedBatch(self.table[positions].float(), offsets)

    def token_positions(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Table positions (N,) of the tokens of the texts in ``rows`` (B,), and the batch's offsets (B + 1,)."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = torch.zeros(len(rows) + 1, dtype=torch.int64, device=self.device)
        torch.cumsum(lengths, 0, out=offsets[1:])
        # token k of the batch is at k + (start of its text in the table - start of its text in the batch)
        shift = torch.repeat_interleave(starts - offsets[:-1], lengths)
        return torch.arange(len(shift), device=self.device) + shift, offsets
