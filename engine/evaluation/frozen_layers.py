"""Frozen mean pooling of every single layer of an encoder, ranked on evaluation items; kept, since no run changes it."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from engine.contract.durable import write_durably
from engine.contract.events import Progress
from engine.contract.experiment import EncoderSettings, SenseText
from engine.contract.file_lock import FileLock
from engine.data.evaluation.killers import Ranked
from engine.data.records import Dataset
from engine.encoder.encoder import Encoder, TextStates
from engine.encoder.encoder_input import EncoderInput
from engine.encoder.token_cache import acquire, cache_folder, share_progress
from engine.evaluation.ranking import TextVectors, rank_all, ranking_inputs

_VERSION = 2
_REPORT_EVERY = 512

LayerRankings = dict[int, list[Ranked]]
"""By layer, the ranking of every retrieval item and then of every coherence step."""


class MeanRecordingEncoder(Encoder):
    """An encoder that keeps the mean token state of every layer of each text that it encodes, whatever layers are asked for.

    ``means`` are by text: (layers, H) float32, unit rows.
    """

    def __init__(self, settings: EncoderSettings, device: str) -> None:
        super().__init__(settings, device)
        self.means: dict[str, NDArray[np.float32]] = {}

    def encode(self, texts: Sequence[str], layers: Sequence[int] | None = None) -> Iterator[tuple[int, TextStates]]:
        """See ``Encoder.encode``."""
        every, chosen = self.shape.layers + 1, list(self.settings.layers if layers is None else layers)
        for index, found in super().encode(texts, range(every)):
            self.means[texts[index]] = _unit_means(found.states, every)
            blocks = found.states.reshape(len(found.states), every, -1)[:, chosen]  # (T, layers, H)
            yield index, TextStates(blocks.reshape(len(blocks), -1), found.characters)


def layer_rankings(
    encoder: Encoder, dataset: Dataset, sense_text: SenseText, workspace: Path
) -> Generator[Progress, None, LayerRankings]:
    """Rank the evaluation of ``dataset`` by the normalized mean token state of each layer of ``encoder``.

    The rankings are kept in ``workspace``; one process makes them, others wait for it.
    """
    inputs = ranking_inputs(dataset, sense_text)
    path = cache_folder(workspace, encoder) / f"layers-{_key(dataset, inputs)}.json"
    if (kept := _read(path)) is not None:
        return kept
    lock = FileLock(path.with_suffix(".lock"))
    yield from acquire(lock)
    with lock:
        if (kept := _read(path)) is None:
            means: list[NDArray[np.float32]] = []
            yield from share_progress(lock, _append_means(encoder, [one.text for one in inputs], means))
            vectors = torch.from_numpy(np.stack(means, axis=1))  # (layers, texts, H)
            kept = {layer: rank_all(dataset, TextVectors(inputs, of, sense_text)) for layer, of in enumerate(vectors)}
            write_durably(path, msgspec.json.encode(kept))
    return kept


def _append_means(encoder: Encoder, texts: Sequence[str], means: list[NDArray[np.float32]]) -> Iterator[Progress]:
    """Append to ``means`` each text's mean token state of each layer, (layers, H), unit rows, in the texts' order."""
    layers = range(encoder.shape.layers + 1)
    by_text = dict(encoder.means) if isinstance(encoder, MeanRecordingEncoder) else {}
    missing = [text for text in texts if text not in by_text]
    for count, (index, found) in enumerate(encoder.encode(missing, layers) if missing else (), start=1):
        by_text[missing[index]] = _unit_means(found.states, len(layers))
        if count % _REPORT_EVERY == 0:
            yield Progress(count, len(missing), "texts of the evaluation in all layers")
    means += (by_text[text] for text in texts)


def _unit_means(states: NDArray[np.float16], layers: int) -> NDArray[np.float32]:
    """The mean token state of each of the layers joined in ``states``, (T, layers x H): (layers, H), unit rows."""
    means = states.astype(np.float32).mean(axis=0).reshape(layers, -1)
    units: NDArray[np.float32] = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return units


def _read(path: Path) -> LayerRankings | None:
    """The rankings in ``path``; None where there are none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=LayerRankings)
    except (OSError, msgspec.MsgspecError):
        return None


def _key(dataset: Dataset, inputs: Sequence[EncoderInput]) -> str:
    """SHA-256 of all that determines the rankings beside the encoder: the items, and their texts as the encoder reads them."""
    content = msgspec.json.encode((_VERSION, dataset.retrieval, dataset.coherence, inputs))
    return hashlib.sha256(content).hexdigest()[:32]
