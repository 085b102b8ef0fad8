"""A forward and backward step of the SenseHead on ragged tokens against the same on a padded batch, one CPU thread."""

from __future__ import annotations

import time

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.encoder.token_states import RaggedBatch
from engine.model.sense_head import SenseHead
from tests.bench.row import Row, row

PAIRS = 30
TEXTS = 512
WIDTH = 384


def padded(head: SenseHead, tokens: Tensor, mask: Tensor) -> Tensor:
    """The textbook form: (B, T, H) with a mask (B, T) -> (B, E)."""
    scores = head.scorer(tokens).squeeze(-1).masked_fill(~mask, -torch.inf)
    pooled = (torch.softmax(scores, dim=-1).unsqueeze(-1) * tokens).sum(dim=1)
    return F.normalize(head.norm(head.output(F.gelu(head.hidden(pooled)))), dim=-1)


def measure() -> Row:
    """On texts as long as WordNet's examples are: 12.6 tokens on average, with a tail."""
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    lengths = (3 + torch.distributions.Exponential(1 / 9.6).sample((TEXTS,))).long().clamp(max=63)
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    tokens = torch.randn(int(offsets[-1]), WIDTH, generator=draw)
    longest = int(lengths.max())
    mask = torch.arange(longest) < lengths.unsqueeze(1)
    block = torch.zeros(TEXTS, longest, WIDTH)
    block[mask] = tokens
    head = SenseHead(WIDTH, seed=0)
    no_target, no_gloss = torch.zeros(len(tokens), dtype=torch.bool), torch.zeros(TEXTS, dtype=torch.bool)
    batch = RaggedBatch(tokens, offsets, no_target, no_gloss)
    torch.testing.assert_close(head(batch).embedding, padded(head, block, mask), rtol=0, atol=1e-5)

    def seconds(ragged: bool) -> float:
        head.zero_grad()
        start = time.perf_counter()
        embedding = head(batch).embedding if ragged else padded(head, block, mask)
        embedding.square().sum().backward()
        return time.perf_counter() - start

    seconds(True), seconds(False)
    pairs = [(seconds(True), seconds(False)) for _ in range(PAIRS)]
    share = int(offsets[-1]) / mask.numel()
    return row("SenseHead step, ragged", pairs, 0.5, f"peer: padded to {longest} tokens; {share:.0%} of them are real")
