"""What a run says while it goes: one typed event a line in ``events.jsonl``.

Numbers have bounds that no run comes near, so a line beyond them is no event: who reads it may count, divide and print.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from engine.contract.experiment import Fraction

Whole = Annotated[int, Meta(ge=0, le=2**53)]
Loss = Annotated[float, Meta(ge=-3.5e38, le=3.5e38)]  # whatever 32 bits hold
CosineMargin = Annotated[float, Meta(ge=-2.001, le=2.001)]  # a difference of two cosines, and its rounding
Evenness = Annotated[float, Meta(ge=-0.01, le=1.01)]
UnixTime = Annotated[float, Meta(ge=0.0, le=1e11)]
StageName = Literal["data", "encode", "warm_start", "train", "evaluate", "seal"]


class Stage(Struct, frozen=True, tag="stage"):
    """A stage of the pipeline began; ``note`` says what it works on."""

    name: StageName
    note: str = ""


class Progress(Struct, frozen=True, tag="progress"):
    """How far the present stage is: ``done`` of ``total`` ``unit``."""

    done: Whole
    total: Whole
    unit: str


class Step(Struct, frozen=True, tag="step"):
    """One optimizer step: mean loss of the batch, learning rate, and how many bundles of each tier it held."""

    step: Whole
    total_steps: Whole
    epoch: Whole
    loss: Loss
    learning_rate: float
    tiers: dict[str, Whole]


class Epoch(Struct, frozen=True, tag="epoch"):
    """Validation on held-out development bundles after an epoch (0: before the first step).

    ``attention_entropy`` is the mean of entropy / log T, so 1.0 is uniform attention.
    """

    epoch: Whole
    step: Whole
    top1: Fraction
    margin: CosineMargin
    loss: Loss
    tiers: dict[str, Fraction]
    attention_entropy: Evenness
    mean_pool_top1: Fraction


class Warning(Struct, frozen=True, tag="warning"):
    """Something a person should look at; ``kind`` is stable, ``message`` is for reading."""

    kind: Literal["early_warning", "dilution", "loss_spike", "non_finite"]
    message: str
    step: Whole = 0
    value: float = 0.0


class Checkpoint(Struct, frozen=True, tag="checkpoint"):
    """A checkpoint was written durably; ``sha256`` is of its safetensors file."""

    step: Whole
    epoch: Whole
    sha256: str


class Evaluation(Struct, frozen=True, tag="evaluation"):
    """The frozen evaluation is done; the numbers beside it are frozen mean pooling of the same states."""

    top1: Fraction
    top3: Fraction
    coherence: Fraction
    mean_pool_top1: Fraction
    mean_pool_top3: Fraction
    mean_pool_coherence: Fraction


class End(Struct, frozen=True, tag="end"):
    """The last event: the pipeline came to its end, with the ship blockers it failed."""

    failed_gates: tuple[str, ...] = ()


Body: TypeAlias = Stage | Progress | Step | Epoch | Warning | Checkpoint | Evaluation | End


class Event(Struct, frozen=True):
    """An event with its place in the stream: ``seq`` counts from 0 without gaps, ``t`` is the host's Unix time in s."""

    seq: Whole
    t: UnixTime
    body: Body


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Event).decode
