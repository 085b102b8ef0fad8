"""Training step: trains a run's head from prepared data, recording its attention, or loads the head it left."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from torch import Tensor

from engine.contract.bad_input import BadInput
from engine.contract.events import Body, Measurement
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings, Spec
from engine.encoder.encoder import Encoder
from engine.evaluation.attention import AttentionLog, probes_of
from engine.model.architecture import new_head
from engine.model.encoder_head import EncoderHead
from engine.model.head import Head
from engine.pipeline.prepare import Prepared
from engine.pipeline.spec import run_fingerprint
from engine.training.checkpoint import Position, best_weights, load_checkpoint
from engine.training.loop import train


class TrainedHead(NamedTuple):
    """A head with the weights of its best measurement, and the position at which its training ended."""

    head: Head
    position: Position


def train_head(spec: Spec, prepared: Prepared, folder: RunFolder) -> Generator[Body, None, TrainedHead]:
    """Train from the start, or from the checkpoint in ``folder``.

    Writes the checkpoint and ``attention.parquet``.

    Raises:
        BadInput: the checkpoint is another run's or unreadable, or the bundles hold nothing to compare.
        TrainingFailed: a loss or a gradient was not finite.
    """
    dataset, states = prepared.dataset, prepared.states
    head = run_head(spec.settings, prepared.encoder)
    attention = AttentionLog(folder.attention, states, probes_of(dataset), spec.settings.model.sense_text)
    events = train(head, states, dataset, spec.settings, folder, run_fingerprint(spec))
    while True:
        try:
            body = next(events)
        except StopIteration as end:
            return TrainedHead(head, end.value)
        if isinstance(body, Measurement):
            # now, because the loop changes the head again when it continues
            attention.record(head, body.step, body.epoch)
        yield body


def load_head(spec: Spec, prepared: Prepared, folder: RunFolder) -> TrainedHead:
    """The head that training left in ``folder``.

    Raises:
        BadInput: as ``trained_weights``.
    """
    weights, position = trained_weights(spec, folder)
    head = run_head(spec.settings, prepared.encoder)
    load_weights(head, weights, folder)
    return TrainedHead(head, position)


def trained_weights(spec: Spec, folder: RunFolder) -> tuple[dict[str, Tensor], Position]:
    """The weights of the best head that training left in ``folder``, by name, and where training ended.

    Raises:
        BadInput: no checkpoint, an unreadable one or another run's, or training has not ended.
    """
    loaded = load_checkpoint(folder, run_fingerprint(spec))
    if loaded is None:
        raise BadInput("no checkpoint: this run has not been trained", file=folder.checkpoint)
    tensors, position = loaded
    if not position.is_finished:
        stopped = f"training stopped after step {position.step} of {position.total_steps}"
        raise BadInput(f"{stopped}; resume it first", file=folder.checkpoint)
    return best_weights(tensors), position


def load_weights(head: Head, weights: dict[str, Tensor], folder: RunFolder) -> None:
    """Give ``head`` the weights of the run in ``folder``; BadInput where they are not those of such a head."""
    try:
        head.load_state_dict(weights)
    except RuntimeError as error:  # a changed file: the fingerprint is that of this run
        raise BadInput(f"its tensors are not those of this run's head: {error}", file=folder.checkpoint) from error


def run_head(settings: Settings, encoder: Encoder) -> Head:
    """The untrained head of a run, with the layers of ``encoder`` that it trains; on the encoder's device."""
    layers = settings.encoder.layers
    head = new_head(settings.model, encoder.shape.width * len(layers), len(layers), settings.seed)
    input_layer = settings.encoder.input_layer
    if input_layer is not None:
        head = EncoderHead(head, encoder.top_layers(settings.seed), layers, input_layer)
    return head.to(encoder.device)
