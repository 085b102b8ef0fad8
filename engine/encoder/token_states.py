"""Table of the token states of a set of encoder inputs, on one device; ragged batches are gathered from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from engine.encoder.encoder_input import EncoderInput


class RaggedBatch(NamedTuple):
    """Batch of B texts of different lengths without padding, N tokens in all.

    tokens: (N, H) float32, the texts' token states one after another.
    offsets: (B + 1,) int64, text ``i`` is ``tokens[offsets[i]:offsets[i + 1]]``.
    on_target: (N,) bool, the token overlaps its text's target word.
    is_gloss: (B,) bool.
    below: (N, W) float32, states of the layer below trained encoder layers; None where none are trained.
    """

    tokens: Tensor
    offsets: Tensor
    on_target: Tensor
    is_gloss: Tensor
    below: Tensor | None = None


class TokenStates:
    """Token states by encoder input, on one device.

    Attributes:
        inputs: the encoder inputs; an input's row is its index here.
        table: (N, H) float16, all inputs' tokens one after another; wider where ``below`` is none of the H.
        offsets: (inputs + 1,) int64 on the same device.
        layers: number of encoder layers joined in H, the states that heads read.
        below: which of the layers joined in the table is the input of trained encoder layers; None where none are trained.
        characters: (N, 2) int32 on the CPU: each token's character span in its text; empty for special tokens.
        on_target: (N,) bool on the table's device: the token overlaps the target word of its input.
        is_gloss: (inputs,) bool on the table's device.
    """

    def __init__(
        self,
        inputs: Sequence[EncoderInput],
        table: Tensor,
        offsets: Tensor,
        characters: Tensor,
        layers: int = 1,
        below: int | None = None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.table = table
        self.offsets = offsets
        self.layers = layers
        self.below = below
        self.characters = characters
        self.on_target = _on_target(self.inputs, offsets.cpu(), characters).to(table.device)
        self.is_gloss = torch.tensor([one.is_gloss for one in self.inputs], dtype=torch.bool, device=table.device)
        self._rows = {one: row for row, one in enumerate(self.inputs)}
        # on the CPU, because reading one number of a CUDA tensor waits for the GPU
        self._bounds: list[int] = offsets.tolist()
        self._reused = torch.empty(0, table.shape[1], device=table.device)

    @classmethod
    def from_layers(
        cls,
        inputs: Sequence[EncoderInput],
        layers: Sequence[Sequence[Tensor]],
        characters: Sequence[Tensor],
        device: str,
        read: int | None = None,
        below: int | None = None,
    ) -> Self:
        """Join each input's (T, W) states of each of L layers, and its (T, 2) spans, into one table of (N, L x W).

        Args:
            read: of the layers, the first so many are those that heads read; None is all.
            below: the index of the one that is the input of trained encoder layers.
        """
        lengths = torch.tensor([0, *map(len, characters)], dtype=torch.int64)
        spans = torch.cat(list(characters)) if characters else torch.zeros(0, 2, dtype=torch.int32)
        width = layers[0][0].shape[1] if characters else 1
        table = torch.empty(len(spans), len(layers) * width, dtype=torch.float16)
        for at, states in enumerate(layers):  # one layer at a time: the table may be a large part of the memory
            if states:
                table[:, at * width : (at + 1) * width] = torch.cat(list(states))
        return cls(inputs, table.to(device), lengths.cumsum(0).to(device), spans, read or len(layers), below)

    @property
    def width(self) -> int:
        """H, the size of one token's state in all layers that heads read."""
        return self.layers * self.layer_width

    @property
    def layer_width(self) -> int:
        """W, the size of one token's state in one layer."""
        joined = self.layers if self.below is None else max(self.layers, self.below + 1)
        return int(self.table.shape[1]) // joined

    @property
    def device(self) -> torch.device:
        """Where the table is."""
        return self.table.device

    def row(self, encoder_input: EncoderInput) -> int:
        """The row of ``encoder_input``; KeyError when it is not in the table."""
        return self._rows[encoder_input]

    def rows(self, inputs: Iterable[EncoderInput]) -> Tensor:
        """(inputs,) int64 on the table's device."""
        return torch.tensor([self._rows[one] for one in inputs], dtype=torch.int64, device=self.device)

    def span(self, encoder_input: EncoderInput) -> tuple[int, int]:
        """First and one past last position of the tokens of ``encoder_input`` in the table."""
        row = self._rows[encoder_input]
        return self._bounds[row], self._bounds[row + 1]

    def gather(self, rows: Tensor, *, tokens: bool = True, reuse: bool = False) -> RaggedBatch:
        """The ragged batch of the inputs in ``rows`` (B,), in that order, upcast to float32.

        Args:
            tokens: False leaves the token states out; ``RaggedBatch.tokens`` is then (0, H).
            reuse: write the token states into memory that the next such call writes to again.
        """
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = torch.zeros(len(rows) + 1, dtype=torch.int64, device=self.device)
        torch.cumsum(lengths, 0, out=offsets[1:])
        # token k of the batch is at k + (start of its text in the table - start of its text in the batch)
        shift = torch.repeat_interleave(starts - offsets[:-1], lengths)
        positions = torch.arange(len(shift), device=self.device) + shift
        half, below = self.table[positions if tokens else positions[:0]], None
        states = self._upcast(half) if reuse else half.float()
        if self.below is not None:
            below = states[:, self.below * self.layer_width : (self.below + 1) * self.layer_width]
            states = states[:, : self.width].contiguous()
        return RaggedBatch(states, offsets, self.on_target[positions], self.is_gloss[rows], below)

    def _upcast(self, states: Tensor) -> Tensor:
        """``states`` as float32, in the reused memory; it grows as needed."""
        # on a CPU the pages of a new block this large cost three times what the conversion does
        if len(self._reused) < len(states):
            self._reused = torch.empty(len(states) * 5 // 4, self.table.shape[1], device=self.device)
        return self._reused[: len(states)].copy_(states)


def _on_target(inputs: Sequence[EncoderInput], offsets: Tensor, characters: Tensor) -> Tensor:
    """Which tokens, by their character spans (N, 2), overlap the target word of their input: (N,) bool."""
    spans = torch.tensor([(one.start, one.end) for one in inputs], dtype=torch.int32).view(-1, 2)
    target_start, target_end = spans.repeat_interleave(offsets[1:] - offsets[:-1], dim=0).unbind(1)
    start, end = characters.unbind(1)
    return (end > start) & (target_end > target_start) & (start < target_end) & (end > target_start)
