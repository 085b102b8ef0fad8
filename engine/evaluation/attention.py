"""Where the head looks: its attention on a fixed set of probe texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from engine.contract.items import AttentionRow
from engine.data.records import RetrievalItem
from engine.encoder.token_states import TokenStates
from engine.evaluation.tables import read_attention, write_attention
from engine.model.embed import relative_entropy
from engine.model.reading import reading_of
from engine.model.sense_head import SenseHead
from engine.training.target_tokens import covers

PROBES = 32
TOP_TOKENS = 3


def choose_probes(items: Sequence[RetrievalItem]) -> tuple[RetrievalItem, ...]:
    """Up to 32 items spread evenly over all, whose queries are the probes: the same for every run of an evaluation."""
    stride = max(1, -(-len(items) // PROBES))
    return tuple(items[::stride])


class AttentionLog:
    """The attention of a head on its probes, epoch by epoch, kept in ``path`` after each."""

    def __init__(self, path: Path, states: TokenStates, probes: Sequence[RetrievalItem]) -> None:
        self.path = path
        self.states = states
        self.probes = probes
        self.rows = read_attention(path)

    def record(self, head: SenseHead, epoch: int) -> None:
        """Add ``head`` after ``epoch``; an epoch recorded before is replaced, and later ones fall away."""
        self.rows = [row for row in self.rows if row.epoch < epoch]
        self.rows += attention_rows(head, self.states, self.probes, epoch)
        write_attention(self.path, self.rows)


def attention_rows(
    head: SenseHead, states: TokenStates, probes: Sequence[RetrievalItem], epoch: int
) -> list[AttentionRow]:
    """One row for each probe: how even the attention is, how much lies on the target word, and its heaviest tokens."""
    batch = states.gather(states.rows([reading_of(probe.query) for probe in probes]))
    with torch.no_grad():
        attention = head(batch).attention
        entropy = relative_entropy(attention, batch.offsets).tolist()
    weights = attention.cpu().split((batch.offsets[1:] - batch.offsets[:-1]).tolist())
    rows = []
    for probe, mine, even in zip(probes, weights, entropy, strict=True):
        query, text = probe.query, reading_of(probe.query)
        start, end = states.span(text)
        characters = states.characters[start:end]
        mass = float(mine[covers(characters, query)].sum())
        heaviest = mine.topk(min(TOP_TOKENS, len(mine))).indices.tolist()
        tops = " ".join(_surface(text, characters.tolist(), place) for place in heaviest)
        rows.append(AttentionRow(probe.item_id, probe.lemma, epoch, len(mine), even, mass, tops, query.text))
    return rows


def _surface(text: str, characters: list[list[int]], place: int) -> str:
    """A token as it stands in the text; special tokens have no place there."""
    start, end = characters[place]
    if end > start:
        return text[start:end]
    return "<start>" if place == 0 else "<end>"
