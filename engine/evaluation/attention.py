"""Attention of a head: on a fixed set of probe texts at each measurement (``attention.parquet``), on evaluated queries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.contract.experiment import SenseText
from engine.contract.items import AttentionRow
from engine.data.bundles.encoder_text import encoder_input_of
from engine.data.records import AttentionProbe, Dataset
from engine.encoder.encoder_input import EncoderInput
from engine.encoder.token_states import TokenStates
from engine.evaluation.evaluate import TextAttention
from engine.evaluation.item_files import read_attention, write_rows
from engine.model.embedding import attend_rows, relative_entropy
from engine.model.head import Head

MAX_QUERIES = 32
TOP_TOKENS = 3
WEIGHT_DIGITS = 4  # of queries' weights: all that a person can use, at a fifth of the file size


def probes_of(dataset: Dataset) -> tuple[AttentionProbe, ...]:
    """The dataset's probes; if it has none, up to 32 retrieval queries without cues, evenly spread over all."""
    if dataset.probes:
        return dataset.probes
    stride = max(1, -(-len(dataset.retrieval) // MAX_QUERIES))
    return tuple(AttentionProbe(item.item_id, item.query, ()) for item in dataset.retrieval[::stride])


class AttentionLog:
    """Attention of a head on the probes, by measurement; ``path`` is written after each."""

    def __init__(
        self, path: Path, states: TokenStates, probes: Sequence[AttentionProbe], sense_text: SenseText
    ) -> None:
        self.path = path
        self.states = states
        self.probes = probes
        self.sense_text = sense_text
        self.rows = read_attention(path)

    def record(self, head: Head, step: int, epoch: float) -> None:
        """Add the attention of ``head`` after ``step``; rows of this and later steps, left by a killed run, are dropped."""
        self.rows = [row for row in self.rows if row.step < step]
        self.rows += attention_rows(head, self.states, self.probes, self.sense_text, step, epoch)
        write_rows(self.path, self.rows, AttentionRow)


def attention_rows(
    head: Head,
    states: TokenStates,
    probes: Sequence[AttentionProbe],
    sense_text: SenseText,
    step: int,
    epoch: float,
) -> list[AttentionRow]:
    """A row per probe: attention's entropy / log T, its mass on the target word and on the cues, the heaviest tokens."""
    inputs = [encoder_input_of(probe.event, sense_text) for probe in probes]
    batch = states.gather(states.rows(inputs))
    with torch.no_grad():
        attention = head(batch).attention
        entropies = relative_entropy(attention, batch.offsets).tolist()
    lengths = batch.offsets.diff().tolist()
    per_text = zip(
        torch.split(attention.cpu(), lengths), torch.split(batch.on_target.cpu(), lengths), entropies, strict=True
    )
    rows = []
    for probe, encoder_input, (weights, on_target, entropy) in zip(probes, inputs, per_text, strict=True):
        event, text = probe.event, encoder_input.text
        start, end = states.span(encoder_input)
        characters = states.characters[start:end]
        lemma_mass = float(weights[on_target].sum())
        cue_mass = float(weights[_on_cues(characters, text, probe) & ~on_target].sum()) if probe.cues else None
        heaviest = weights.topk(min(TOP_TOKENS, len(weights))).indices.tolist()
        tokens = _token_texts(text, characters)
        rows.append(
            AttentionRow(
                item_id=probe.probe_id,
                lemma=event.lemma,
                step=step,
                epoch=epoch,
                tokens=len(tokens),
                entropy=entropy,
                lemma_mass=lemma_mass,
                cue_mass=cue_mass,
                top_tokens=" ".join(tokens[index] for index in heaviest),
                text=event.text,
                token_texts=tokens,
                weights=weights.tolist(),
            )
        )
    return rows


def query_attention(head: Head, states: TokenStates, dataset: Dataset, sense_text: SenseText) -> list[TextAttention]:
    """Attention of ``head`` on the query of every retrieval item and then of every coherence step of ``dataset``."""
    events = (
        *(item.query for item in dataset.retrieval),
        *(step.event for item in dataset.coherence for step in item.steps),
    )
    queries = [encoder_input_of(event, sense_text) for event in events]
    unique = sorted(set(queries))
    attention = attend_rows(head, states, states.rows(unique))
    of_query = {query: _attended(query, states, weights) for query, weights in zip(unique, attention, strict=True)}
    return [of_query[query] for query in queries]


def _attended(query: EncoderInput, states: TokenStates, weights: Tensor) -> TextAttention:
    start, end = states.span(query)
    rounded = [round(weight, WEIGHT_DIGITS) for weight in weights.tolist()]
    return TextAttention(_token_texts(query.text, states.characters[start:end]), rounded)


def _on_cues(characters: Tensor, text: str, probe: AttentionProbe) -> Tensor:
    """Which tokens, by their spans (T, 2), lie in a cue; a cue is matched as a whole word in any case: (T,) bool."""
    # longest first, because a regular expression takes the first alternative that matches
    words = "|".join(re.escape(cue) for cue in sorted(probe.cues, key=len, reverse=True))
    on_cue = torch.zeros(len(characters), dtype=torch.bool)
    for cue in re.finditer(rf"(?<!\w)(?:{words})(?!\w)", text, re.IGNORECASE):
        on_cue |= (characters[:, 0] < cue.end()) & (characters[:, 1] > cue.start())
    return on_cue


def _token_texts(text: str, characters: Tensor) -> list[str]:
    """The characters of each token of ``text``, by their spans (T, 2); the special tokens at both ends have none."""
    special = ("<start>", *["<end>"] * (len(characters) - 1))
    spans = zip(characters.tolist(), special, strict=True)
    return [text[start:end] if end > start else name for (start, end), name in spans]
