"""A head together with the encoder's upper layers that are trained with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Generator, Tensor
from torch.nn import Parameter

from engine.encoder.token_states import RaggedBatch
from engine.encoder.top_layers import TopLayers
from engine.model.head import Head, HeadOutput

PART_TOKENS = 2048
"""Tokens at most, padding included, that pass through the encoder's layers at once: texts of like length."""

LEAST_PART_TOKENS = 256
"""Below this a part grows however much is padded, because small matrix products are slow."""

MOST_PADDED = 1.2
"""Tokens with padding, relative to those without it."""


class EncoderHead(Head):
    """A head on the states of an encoder whose upper layers are trained: they run on cached states of the layer below.

    Its frozen vectors are those of the untrained encoder, from cached states.

    Args:
        inner: the head on the states of all ``layers``.
        encoder: the trained layers.
        layers: the encoder layers that ``inner`` reads, in the order in which their states are joined.
        input_layer: the layer whose states the trained layers begin with; lower ones come from the cache.
    """

    def __init__(self, inner: Head, encoder: TopLayers, layers: Sequence[int], input_layer: int) -> None:
        super().__init__()
        self.inner = inner
        self.encoder = encoder
        self.layers = inner.layers
        self.needs_warm_start = inner.needs_warm_start
        self._layers = tuple(layers)
        self._input_layer = input_layer

    def forward(
        self, batch: RaggedBatch, generator: Generator | None = None, frozen: Tensor | None = None
    ) -> HeadOutput:
        # the inner head starts from the trained states, not from the frozen vectors
        output: HeadOutput = self.inner(batch._replace(tokens=self._states(batch)), generator)
        return output

    def frozen(self, batch: RaggedBatch) -> Tensor:
        return self.inner.frozen(batch)

    def encoder_parameters(self) -> list[Parameter]:
        return [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]

    def _states(self, batch: RaggedBatch) -> Tensor:
        """``batch.tokens`` with the trained layers' own states in place of the untrained encoder's: (N, H)."""
        if batch.below is None:
            raise ValueError("a batch without the states below the trained layers")
        trained = self._run(batch.below, batch.offsets)
        cached = batch.tokens.chunk(self.layers, dim=1)
        blocks = [
            trained[layer - self._input_layer - 1] if layer > self._input_layer else cached[at]
            for at, layer in enumerate(self._layers)
        ]
        return torch.cat(blocks, dim=1)

    def _run(self, below: Tensor, offsets: Tensor) -> list[Tensor]:
        """The states (N, W) of each trained layer, from those of the layer ``below`` (N, W)."""
        lengths = offsets.diff().tolist()
        firsts, cells = [0] * len(lengths), 0  # each text's first cell among all padded ones
        outputs: list[tuple[Tensor, ...]] = []
        for part in _parts(lengths):
            longest = lengths[part[-1]]
            texts = torch.tensor(part, device=below.device)
            starts, ends = offsets[texts].unsqueeze(1), offsets[texts + 1].unsqueeze(1)
            positions = starts + torch.arange(longest, device=below.device)  # (texts, longest)
            inside = positions < ends
            outputs.append(self.encoder(below[positions.where(inside, starts)], inside))
            for row, text in enumerate(part):
                firsts[text] = cells + row * longest
            cells += len(part) * longest
        shift = torch.tensor(firsts, device=below.device) - offsets[:-1]
        of_token = shift.repeat_interleave(offsets.diff(), output_size=len(below))
        of_token = of_token + torch.arange(len(below), device=below.device)
        by_layer = zip(*outputs, strict=True)
        return [torch.cat([one.flatten(0, 1) for one in parts]).index_select(0, of_token) for parts in by_layer]


def _parts(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Texts by length, shortest first, in parts that keep to the limits above, or of one text."""
    part: list[int] = []
    tokens = 0
    for text in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        padded, with_it = (len(part) + 1) * lengths[text], tokens + lengths[text]
        if part and padded > min(PART_TOKENS, max(LEAST_PART_TOKENS, MOST_PADDED * with_it)):
            yield part
            part, with_it = [], lengths[text]
        part.append(text)
        tokens = with_it
    if part:
        yield part
