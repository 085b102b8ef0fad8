"""What a run says while it goes: one typed event a line in ``events.jsonl``."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

StageName = Literal["data", "encode", "warm_start", "train", "evaluate", "seal"]


class Stage(Struct, frozen=True, tag="stage"):
    """A stage of the pipeline began; ``note`` says what it works on."""

    name: StageName
    note: str = ""


class Progress(Struct, frozen=True, tag="progress"):
    """How far the present stage is: ``done`` of ``total`` ``unit``."""

    done: int
    total: int
    unit: str


class Step(Struct, frozen=True, tag="step"):
    """One optimizer step: mean loss of the batch, learning rate, and how many bundles of each tier it held."""

    step: int
    total_steps: int
    epoch: int
    loss: float
    learning_rate: float
    tiers: dict[str, int]


class Epoch(Struct, frozen=True, tag="epoch"):
    """Validation on held-out development bundles after an epoch (0: before the first step).

    ``attention_entropy`` is the mean of entropy / log T, so 1.0 is uniform attention.
    """

    epoch: int
    step: int
    top1: float
    margin: float
    loss: float
    tiers: dict[str, float]
    attention_entropy: float
    mean_pool_top1: float


class Warning(Struct, frozen=True, tag="warning"):
    """Something a person should look at; ``kind`` is stable, ``message`` is for reading."""

    kind: Literal["early_warning", "dilution", "loss_spike", "non_finite"]
    message: str
    step: int = 0
    value: float = 0.0


class Checkpoint(Struct, frozen=True, tag="checkpoint"):
    """A checkpoint was written durably; ``sha256`` is of its safetensors file."""

    step: int
    epoch: int
    sha256: str


class Evaluation(Struct, frozen=True, tag="evaluation"):
    """The frozen evaluation is done; the numbers beside it are frozen mean pooling of the same states."""

    top1: float
    top3: float
    coherence: float
    mean_pool_top1: float
    mean_pool_top3: float
    mean_pool_coherence: float


class End(Struct, frozen=True, tag="end"):
    """The last event: the pipeline came to its end, with the ship blockers it failed."""

    failed_gates: tuple[str, ...] = ()


Body: TypeAlias = Stage | Progress | Step | Epoch | Warning | Checkpoint | Evaluation | End


class Event(Struct, frozen=True):
    """An event with its place in the stream: ``seq`` counts from 0 without gaps, ``t`` is the host's Unix time in s."""

    seq: int
    t: float
    body: Body


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Event).decode
