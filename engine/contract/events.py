"""Events of a run: one JSON object per line of ``events.jsonl``.

Numbers have bounds that no run comes near, so readers can count, divide and print them; a line beyond them is malformed.
Python's collector of cycles leaves events out (``gc=False``): they refer to nothing that could refer back, and there are many.
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
EpochsDone = Annotated[float, Meta(ge=0.0, le=1e15)]
UnixTime = Annotated[float, Meta(ge=0.0, le=1e11)]
StageName = Literal["data", "encode", "warm_start", "train", "evaluate", "seal"]


class Stage(Struct, frozen=True, gc=False, tag="stage"):
    """A stage of the pipeline began; ``note`` describes its work."""

    name: StageName
    note: str = ""


class Progress(Struct, frozen=True, gc=False, tag="progress"):
    """Progress of the current stage: ``done`` of ``total`` ``unit``."""

    done: Count
    total: Count
    unit: str


class Step(Struct, frozen=True, gc=False, tag="step"):
    """One optimizer step: mean loss of the batch, learning rate, and how many bundles of each tier it held.

    ``epoch`` is the one in progress, from 1.
    """

    step: Count
    total_steps: Count
    epoch: Count
    loss: Loss
    learning_rate: float
    tiers: dict[str, Count]


class SetScores(Struct, frozen=True, gc=False):
    """Scores of one model on one development set, fractions of 1; None where the set has no items of that kind.

    ``top1`` and ``top3`` are of its retrieval items, ``coherence`` of the steps of its coherence items.
    """

    name: str
    top1: Fraction | None = None
    top3: Fraction | None = None
    coherence: Fraction | None = None


class BaselineScores(Struct, frozen=True, gc=False):
    """Scores on the development data of what needs no training, fractions of 1; the fields are as in ``Measurement``."""

    top1: Fraction
    tiers: dict[str, Fraction]
    score: Fraction
    sets: tuple[SetScores, ...] = ()


class Measurement(Struct, frozen=True, gc=False, tag="measurement"):
    """The head's scores on development data after ``step`` optimizer steps (0: after the warm start).

    Attributes:
        epoch: epochs done, as a fraction: 1.5 is one epoch and a half.
        top1, margin, loss, tiers: on the development bundles; ``tiers`` is top-1 by tier.
        attention_entropy: mean of entropy / log T over their texts, so 1.0 is uniform attention.
        mean_pool_top1: top-1 of frozen mean pooling on the same bundles.
        sets, mean_pool_sets: scores of the head and of frozen mean pooling on each development set.
        score, mean_pool_score: what the best measurement is chosen by; ``score_name`` says in words what it is.
        best_step: the step of the best measurement so far, this one included.
        tier3_exposures: how often each tier3 bundle is expected to have been drawn until now; None where there is none.
        chance: expected scores of a model that ranks at random; None in events of an older engine.
        mean_pool_tiers: top-1 of frozen mean pooling by tier; empty in events of an older engine.
    """

    step: Count
    total_steps: Count
    epoch: EpochsDone
    top1: Fraction
    margin: CosineMargin
    loss: Loss
    tiers: dict[str, Fraction]
    attention_entropy: RelativeEntropy
    mean_pool_top1: Fraction
    score: Fraction
    mean_pool_score: Fraction
    score_name: str
    best_step: Count
    sets: tuple[SetScores, ...] = ()
    mean_pool_sets: tuple[SetScores, ...] = ()
    tier3_exposures: EpochsDone | None = None
    chance: BaselineScores | None = None
    mean_pool_tiers: dict[str, Fraction] = {}


class Warning(Struct, frozen=True, gc=False, tag="warning"):
    """Warning for a person; ``kind`` is for programs, ``message`` for reading."""

    kind: Literal["early_warning", "dilution", "loss_spike", "no_glosses", "non_finite"]
    message: str
    step: Count = 0
    value: float = 0.0


class Checkpoint(Struct, frozen=True, gc=False, tag="checkpoint"):
    """A checkpoint was written durably, ``epoch`` epochs done; ``sha256`` is of its safetensors file."""

    step: Count
    epoch: EpochsDone
    sha256: str


class Evaluation(Struct, frozen=True, gc=False, tag="evaluation"):
    """Scores of the frozen evaluation; ``mean_pool_*`` are those of frozen mean pooling on the same token states."""

    top1: Fraction
    top3: Fraction
    coherence: Fraction
    mean_pool_top1: Fraction
    mean_pool_top3: Fraction
    mean_pool_coherence: Fraction


class End(Struct, frozen=True, gc=False, tag="end"):
    """Last event: the pipeline finished; the ship blockers that failed."""

    failed_gates: tuple[str, ...] = ()


Body: TypeAlias = Stage | Progress | Step | Measurement | Warning | Checkpoint | Evaluation | End


class Event(Struct, frozen=True, gc=False):
    """An event with its number and time: ``seq`` counts from 0 without gaps.

    ``t`` is the host's Unix time in s as of the start of its process, advanced by a monotonic clock: the difference of two
    events of one process is the time between them, however the host's clock was set.
    """

    seq: Count
    t: UnixTime
    body: Body


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Event).decode
