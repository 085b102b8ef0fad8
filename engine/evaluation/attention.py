"""Where the head looks: its attention on a fixed set of probe texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.contract.items import AttentionRow
from engine.data.bundles.encoder_text import encoder_text_of
from engine.data.records import AttentionProbe, Dataset
from engine.encoder.token_states import TokenStates
from engine.evaluation.tables import read_attention, write_attention
from engine.model.embed import relative_entropy
from engine.model.sense_head import SenseHead
from engine.training.batch_loss import covers

QUERIES = 32
TOP_TOKENS = 3


def probes_of(dataset: Dataset) -> tuple[AttentionProbe, ...]:
    """The dataset's probes; if it has none, up to 32 retrieval queries spread evenly over all, of which no cue is known."""
    if dataset.probes:
        return dataset.probes
    stride = max(1, -(-len(dataset.retrieval) // QUERIES))
    return tuple(AttentionProbe(item.item_id, item.query, ()) for item in dataset.retrieval[::stride])


class AttentionLog:
    """The attention of a head on its probes, epoch by epoch, kept in ``path`` after each."""

    def __init__(self, path: Path, states: TokenStates, probes: Sequence[AttentionProbe]) -> None:
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
    head: SenseHead, states: TokenStates, probes: Sequence[AttentionProbe], epoch: int
) -> list[AttentionRow]:
    """A row a probe: how even the attention is, how much lies on the target word and on the cues, its heaviest tokens."""
    batch = states.gather(states.rows([encoder_text_of(probe.event) for probe in probes]))
    with torch.no_grad():
        attention = head(batch).attention
        entropy = relative_entropy(attention, batch.offsets).tolist()
    weights = attention.cpu().split((batch.offsets[1:] - batch.offsets[:-1]).tolist())
    rows = []
    for probe, mine, even in zip(probes, weights, entropy, strict=True):
        event, text = probe.event, encoder_text_of(probe.event)
        start, end = states.span(text)
        characters = states.characters[start:end]
        lemma_mass = float(mine[covers(characters, event)].sum())
        cue_mass = float(mine[_on_cues(characters, text, probe)].sum()) if probe.cues else None
        heaviest = mine.topk(min(TOP_TOKENS, len(mine))).indices.tolist()
        tops = " ".join(_surface(text, characters.tolist(), place) for place in heaviest)
        rows.append(
            AttentionRow(probe.probe_id, event.lemma, epoch, len(mine), even, lemma_mass, cue_mass, tops, event.text)
        )
    return rows


def _on_cues(characters: Tensor, text: str, probe: AttentionProbe) -> Tensor:
    """Which tokens, by their spans (T, 2), lie in a cue, wherever it stands as a whole word in any case: (T,) bool."""
    words = "|".join(re.escape(cue) for cue in sorted(probe.cues, key=len, reverse=True))
    found = torch.zeros(len(characters), dtype=torch.bool)
    for cue in re.finditer(rf"(?<!\w)(?:{words})(?!\w)", text, re.IGNORECASE):
        found |= (characters[:, 0] < cue.end()) & (characters[:, 1] > cue.start())
    return found & ~covers(characters, probe.event)


def _surface(text: str, characters: list[list[int]], place: int) -> str:
    """A token as it stands in the text; special tokens have no place there."""
    start, end = characters[place]
    if end > start:
        return text[start:end]
    return "<start>" if place == 0 else "<end>"
