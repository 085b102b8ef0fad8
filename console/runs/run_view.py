"""A run as the operator sees it: a pure reduction of its state and its events."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from console.sanitize import sanitize_line
from engine.contract.events import Checkpoint, End, Epoch, Evaluation, Event, Progress, Stage, Step, Warning
from engine.contract.settings import RunId
from engine.contract.state import RunState

MAX_WARNINGS = 100


class RunView(Struct, frozen=True):
    """Everything known of one run.

    Attributes:
        run: which cell of the matrix.
        state: as the host keeps it; None when the host has never heard of the run.
        next_seq: the sequence number of the next event; an event below it was seen already and is ignored.
        stage, stage_note, progress: what it works on, and how far that is.
        steps, losses: the training curve, same length; steps count from 1.
        tiers_seen: bundles of each tier drawn so far.
        first_step, last_step: (step, host time in s) of the ends of the curve, for the ETA.
        epochs: validation after each epoch, epoch 0 first.
        rejected: lines of the event stream that were no events.
    """

    run: RunId
    state: RunState | None = None
    next_seq: int = 0
    stage: str = ""
    stage_note: str = ""
    progress: Progress | None = None
    steps: tuple[int, ...] = ()
    losses: tuple[float, ...] = ()
    total_steps: int = 0
    learning_rate: float = 0.0
    tiers_seen: dict[str, int] = {}
    first_step: tuple[int, float] | None = None
    last_step: tuple[int, float] | None = None
    epochs: tuple[Epoch, ...] = ()
    warnings: tuple[Warning, ...] = ()
    checkpoint: Checkpoint | None = None
    evaluation: Evaluation | None = None
    failed_gates: tuple[str, ...] | None = None
    last_event: float = 0.0
    rejected: int = 0

    @property
    def name(self) -> str:
        """``none``, or the state's name."""
        return self.state.state if self.state else "none"

    @property
    def active(self) -> bool:
        """Queued or running: something of it may still happen on the host."""
        return self.state is not None and not self.state.ended

    @property
    def evaluated(self) -> bool:
        """It came to the end of its pipeline, so it has results, whether it passed its ship blockers or not."""
        return self.failed_gates is not None


def with_state(view: RunView, state: RunState | None) -> RunView:
    """``view`` with a new state; another launch of the same run starts from a clean view."""
    if state is None or view.state is None or state.key == view.state.key:
        return replace(view, state=state)
    return RunView(run=view.run, state=state)


def reduce(view: RunView, events: Iterable[Event]) -> RunView:
    """``view`` after ``events``. Pure; an event seen before changes nothing, whatever order they come in.

    Every text in the view is safe to show.
    """
    steps: list[int] = []
    losses: list[float] = []
    tiers = dict(view.tiers_seen)
    for event in events:
        if event.seq < view.next_seq:
            continue
        body = event.body
        changes: dict[str, object] = {"next_seq": event.seq + 1, "last_event": event.t}
        match body:
            case Step():
                steps.append(body.step)
                losses.append(body.loss)
                for tier, count in body.tiers.items():
                    tiers[tier] = tiers.get(tier, 0) + count
                point = (body.step, event.t)
                changes |= {
                    "total_steps": body.total_steps,
                    "learning_rate": body.learning_rate,
                    "first_step": view.first_step or point,
                    "last_step": point,
                }
            case Stage():
                changes |= {"stage": body.name, "stage_note": sanitize_line(body.note), "progress": None}
            case Progress():
                changes |= {"progress": replace(body, unit=sanitize_line(body.unit))}
            case Epoch():
                changes |= {"epochs": (*view.epochs, body)}
            case Warning():
                said = replace(body, message=sanitize_line(body.message))
                changes |= {"warnings": (*view.warnings, said)[-MAX_WARNINGS:]}
            case Checkpoint():
                changes |= {"checkpoint": body}
            case Evaluation():
                changes |= {"evaluation": body}
            case End():
                changes |= {"failed_gates": tuple(map(sanitize_line, body.failed_gates))}
        view = replace(view, **changes)
    if steps:
        view = replace(view, steps=view.steps + tuple(steps), losses=view.losses + tuple(losses), tiers_seen=tiers)
    return view


def fraction_done(view: RunView) -> float | None:
    """How far the present stage is, 0 to 1; None where it cannot be told."""
    if view.stage == "train" and view.total_steps and view.last_step:
        return min(1.0, view.last_step[0] / view.total_steps)
    if view.progress and view.progress.total:
        return min(1.0, view.progress.done / view.progress.total)
    return None


def training_seconds_left(view: RunView) -> float | None:
    """Seconds of training left at the pace so far, by the host's clock; None outside training or before two steps."""
    if view.stage != "train" or not view.first_step or not view.last_step:
        return None
    steps = view.last_step[0] - view.first_step[0]
    seconds = view.last_step[1] - view.first_step[1]
    if steps <= 0 or seconds <= 0:
        return None
    return max(0, view.total_steps - view.last_step[0]) * seconds / steps


def smooth(values: Iterable[float], weight: float) -> list[float]:
    """Exponential moving average with bias correction (Kingma and Ba 2015, section 3), ``weight`` in [0, 1)."""
    average, scale, smoothed = 0.0, 0.0, []
    for value in values:
        average = weight * average + (1 - weight) * value
        scale = weight * scale + (1 - weight)
        smoothed.append(average / scale)
    return smoothed
