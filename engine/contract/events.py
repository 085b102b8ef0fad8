"""Events of a run: one JSON object per line of ``events.jsonl``.

Numbers have bounds that no run comes near, so readers can count, divide and print them; a line beyond them is malformed.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from engine.contract.experiment import Fraction

Count = Annotated[int, Meta(ge=0, le=2**53)]
Loss = Annotated[float, Meta(ge=-3.5e38, le=3.5e38)]  # the range of float32
CosineMargin = Annotated[float, Meta(ge=-2.001, le=2.001)]  # a difference of two cosines, with rounding
RelativeEntropy = Annotated[float, Meta(ge=-0.01, le=1.01)]
UnixTime = Annotated[float, Meta(ge=0.0, le=1e11)]
StageName = Literal["data", "encode", "warm_start", "train", "evaluate", "seal"]


class Stage(Struct, frozen=True, tag="stage"):
    """A stage of the pipeline began; ``note`` describes its work."""

    name: StageName
    note: str = ""


class Progress(Struct, frozen=True, tag="progress"):
    """Progress of the current stage: ``done`` of ``total`` ``unit``."""

    done: Count
    total: Count
    unit: str


class Step(Struct, frozen=True, tag="step"):
    """One optimizer step: mean loss of the batch, learning rate, and how many bundles of each tier it held."""

    step: Count
    total_steps: Count
    epoch: Count
    loss: Loss
    learning_rate: float
    tiers: dict[str, Count]


class Epoch(Struct, frozen=True, tag="epoch"):
    """Validation on held-out development bundles after an epoch (0: before the first step).

    ``attention_entropy`` is the mean of entropy / log T, so 1.0 is uniform attention.
    """

    epoch: Count
    step: Count
    top1: Fraction
    margin: CosineMargin
    loss: Loss
    tiers: dict[str, Fraction]
    attention_entropy: RelativeEntropy
    mean_pool_top1: Fraction


class Warning(Struct, frozen=True, tag="warning"):
    """Warning for a person; ``kind`` is for programs, ``message`` for reading."""

    kind: Literal["early_warning", "dilution", "loss_spike", "non_finite"]
    message: str
    step: Count = 0
    value: float = 0.0


class Checkpoint(Struct, frozen=True, tag="checkpoint"):
    """A checkpoint was written durably; ``sha256`` is of its safetensors file."""

    step: Count
    epoch: Count
    sha256: str


class Evaluation(Struct, frozen=True, tag="evaluation"):
    """Scores of the frozen evaluation; ``mean_pool_*`` are those of frozen mean pooling on the same token states."""

    top1: Fraction
    top3: Fraction
    coherence: Fraction
    mean_pool_top1: Fraction
    mean_pool_top3: Fraction
    mean_pool_coherence: Fraction


class End(Struct, frozen=True, tag="end"):
    """Last event: the pipeline finished; the ship blockers that failed."""

    failed_gates: tuple[str, ...] = ()


Body: TypeAlias = Stage | Progress | Step | Epoch | Warning | Checkpoint | Evaluation | End


class Event(Struct, frozen=True):
    """An event with its number and time: ``seq`` counts from 0 without gaps.

    ``t`` is the host's Unix time in s as of the start of its process, advanced by a monotonic clock: the difference of two
    events of one process is the time between them, however the host's clock was set.
    """

    seq: Count
    t: UnixTime
    body: Body


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Event).decode
