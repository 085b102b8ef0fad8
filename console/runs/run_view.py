"""What the console knows of one run: a pure reduction of its state and its events."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from console.format import seconds_left
from console.runs.series import Columns, Series
from console.sanitize import sanitize_line
from engine.contract.events import (
    Checkpoint,
    End,
    Evaluation,
    Event,
    Measurement,
    Progress,
    SetScores,
    Stage,
    Step,
    Warning,
)
from engine.contract.experiment import ADVERSARIAL, EASY, ROBUST, TIERS
from engine.contract.settings import RunId
from engine.contract.state import RunState

MAX_WARNINGS = 100
STEP, LOSS, LEARNING_RATE, ELAPSED, FIRST_TIER = range(5)
"""Columns of ``RunView.steps``; the share of each tier of ``TIERS`` in percent follows from ``FIRST_TIER`` on."""
_NO_STEPS = Columns(array("d"), array("d"), array("f"), array("d"), *(array("f") for _ in TIERS))
_NO_SHARES = (math.nan,) * len(TIERS)


class RunView(Struct, frozen=True):
    """Everything known of one run.

    A view costs 43 bytes of memory a training step, shared with the views before and after it.

    Attributes:
        state: the run's state file on the host; None when the host does not know the run.
        next_seq: sequence number of the next event; an event with a lower one was seen already and is ignored.
        stage, stage_note, progress: the present stage of the pipeline and how far it is.
        steps: a row for each training step, counted from 1: its number, loss, learning rate, seconds of training until
            then (time between two processes of a resumed run is left out), and the share of each tier in its batch. Numbers
            rise: a resumed run goes back to its checkpoint, so the first step that it takes again replaces all from there on.
        first_step, last_step: (step, host's Unix time in s) of the first step since training began or resumed and of the
            last step, for the ETA and for how long runs of its kind take.
        measurements: of the head on development data, that of step 0 first; replaced like steps.
        warnings: the last ``MAX_WARNINGS`` of them; ``warning_times``: the host's Unix time of each in s.
        failed_gates: ship blockers that failed; None until the pipeline has ended.
        last_event: host's Unix time of the newest event in s.
        processes: the host's Unix times in s of the first and the last event of each process that ran it: of a run that was
            stopped and resumed, of those before too.
        rejected: lines of the event stream that could not be decoded.
        aborting: this console has asked the host to abort it, and does not know its end yet.
    """

    run: RunId
    state: RunState | None = None
    next_seq: int = 0
    stage: str = ""
    stage_note: str = ""
    progress: Progress | None = None
    steps: Columns = _NO_STEPS
    total_steps: int = 0
    learning_rate: float = 0.0
    first_step: tuple[int, float] | None = None
    last_step: tuple[int, float] | None = None
    measurements: tuple[Measurement, ...] = ()
    warnings: tuple[Warning, ...] = ()
    warning_times: tuple[float, ...] = ()
    checkpoint: Checkpoint | None = None
    evaluation: Evaluation | None = None
    failed_gates: tuple[str, ...] | None = None
    last_event: float = 0.0
    processes: tuple[tuple[float, float], ...] = ()
    rejected: int = 0
    aborting: bool = False

    @property
    def losses(self) -> Series:
        """Training loss (y) by step (x)."""
        return Series.of(self.steps, STEP, LOSS)

    @property
    def state_name(self) -> str:
        """The state's name, or ``none`` without a state."""
        return self.state.state if self.state else "none"

    @property
    def active(self) -> bool:
        """Queued or running."""
        return self.state is not None and not self.state.ended

    @property
    def may_be_taken_back(self) -> bool:
        """Whether it is lost only because its supervisor is suspended: it continues once the supervisor does."""
        return self.state_name == "lost" and self.state is not None and self.state.supervised

    @property
    def lost_processes(self) -> int:
        """Processes of a lost run that still run, and keep the GPU."""
        return self.state.processes if self.state is not None and self.state_name == "lost" else 0

    @property
    def can_be_aborted(self) -> bool:
        """Active, or lost with a supervisor or processes that are left."""
        return self.active or self.may_be_taken_back or self.lost_processes > 0

    @property
    def best_measurement(self) -> Measurement | None:
        """The measurement whose head is kept as of now."""
        return next((one for one in self.measurements if one.step == self.measurements[-1].best_step), None)

    @property
    def evaluated(self) -> bool:
        """The pipeline ended, so there are results, whether the run passed its ship blockers or not."""
        return self.failed_gates is not None


class _StepRows:
    """The rows of a view's ``steps`` while events are added to them."""

    def __init__(self, kept: Columns) -> None:
        self.added: list[Step] = []
        self._elapsed: list[float] = []
        self._kept = kept

    def drop_from(self, number: int) -> None:
        """Remove the step ``number`` and those after it."""
        while self.added and self.added[-1].step >= number:
            del self.added[-1], self._elapsed[-1]
        self._kept = self._kept.first(self._kept.rows_up_to(STEP, number - 1))

    def add(self, step: Step, seconds: float) -> None:
        """Add ``step``, which trained for ``seconds``; a clock that went back counts as none."""
        before = self._elapsed[-1] if self._elapsed else self._kept.last(ELAPSED) if self._kept else 0.0
        self.added.append(step)
        self._elapsed.append(before + max(0.0, seconds))

    def columns(self) -> Columns:
        """The table with the added rows."""
        return self._kept.extended(*_columns_of(self.added, self._elapsed))


def reduce(view: RunView, events: Iterable[Event]) -> RunView:
    """``view`` after ``events``; an event costs the same however many went before it, but for the first of a resumed run.

    Pure: ``view`` itself never changes. Events that were reduced already are ignored. Every text in the result is safe to
    show.
    """
    steps = _StepRows(view.steps)
    measurements = list(view.measurements)
    warnings: list[tuple[Warning, float]] = []
    next_seq = view.next_seq
    changes: dict[str, object] = {}
    first_step, last_step = view.first_step, view.last_step
    processes = list(view.processes)
    for event in events:
        if event.seq < next_seq:
            continue
        next_seq = event.seq + 1
        changes["last_event"] = event.t
        _note_time(event, processes)
        match event.body:
            case Step() as step:
                if last_step is not None and step.step <= last_step[0]:
                    steps.drop_from(step.step)
                    _drop_from(step.step, measurements)
                steps.add(step, event.t - last_step[1] if first_step is not None and last_step is not None else 0.0)
                last_step = changes["last_step"] = (step.step, event.t)
                first_step = first_step or last_step
                changes["total_steps"] = step.total_steps
                changes["learning_rate"] = step.learning_rate
            case Measurement() as measurement:
                _drop_from(measurement.step, measurements)
                measurements.append(_safe(measurement))
            case Warning() as warning:
                warnings.append((replace(warning, message=sanitize_line(warning.message)), event.t))
            case body:
                changes |= _changes(body)
                if isinstance(body, Stage) and body.name not in ("evaluate", "seal"):
                    first_step = None  # a resumed run has another process, with another clock
    if next_seq == view.next_seq:
        return view
    if steps.added:
        changes["steps"] = steps.columns()
    if tuple(measurements) != view.measurements:
        changes["measurements"] = tuple(measurements)
    if warnings:
        changes |= _with_warnings(view, warnings)
    return replace(view, next_seq=next_seq, first_step=first_step, processes=tuple(processes), **changes)


def _with_warnings(view: RunView, given: Iterable[tuple[Warning, float]]) -> dict[str, object]:
    """The fields of ``view`` after these warnings and their times: one that a resumed run gives again stands once."""
    known = dict(zip(view.warnings, view.warning_times, strict=True))
    for warning, at in given:
        known.setdefault(warning, at)
    return {"warnings": tuple(known)[-MAX_WARNINGS:], "warning_times": tuple(known.values())[-MAX_WARNINGS:]}


def _note_time(event: Event, processes: list[tuple[float, float]]) -> None:
    """Extend the last of ``processes`` to ``event``, or begin another: the data stage is the first that each process has."""
    if not processes or (isinstance(event.body, Stage) and event.body.name == "data"):
        processes.append((event.t, event.t))
    else:
        processes[-1] = (processes[-1][0], event.t)


def _drop_from(step: int, measurements: list[Measurement]) -> None:
    """Remove those of ``step`` and of later ones, which a resumed run makes again."""
    while measurements and measurements[-1].step >= step:
        del measurements[-1]


def _columns_of(steps: Sequence[Step], elapsed: Sequence[float]) -> tuple[array[float], ...]:
    """The rows of ``RunView.steps`` for ``steps``."""
    shares = [_shares(step.tiers) for step in steps]
    return (
        array("d", [step.step for step in steps]),
        array("d", [step.loss for step in steps]),
        array("f", [step.learning_rate for step in steps]),
        array("d", elapsed),
        *(array("f", column) for column in zip(*shares, strict=True)),
    )


def _shares(tiers: dict[str, int]) -> tuple[float, ...]:
    """Percent of a batch that each tier of ``TIERS`` has."""
    drawn = sum(tiers.values())
    if not drawn:
        return _NO_SHARES
    percent, get = 100 / drawn, tiers.get
    return (percent * get(EASY, 0), percent * get(ROBUST, 0), percent * get(ADVERSARIAL, 0))


def _safe(measurement: Measurement) -> Measurement:
    """``measurement`` with names that are safe to show: a user may name a development set anything."""
    chance = measurement.chance
    return replace(
        measurement,
        score_name=sanitize_line(measurement.score_name),
        tiers=_safe_tiers(measurement.tiers),
        sets=_safe_sets(measurement.sets),
        mean_pool_sets=_safe_sets(measurement.mean_pool_sets),
        mean_pool_tiers=_safe_tiers(measurement.mean_pool_tiers),
        chance=chance and replace(chance, tiers=_safe_tiers(chance.tiers), sets=_safe_sets(chance.sets)),
    )


def _safe_sets(sets: Iterable[SetScores]) -> tuple[SetScores, ...]:
    return tuple(replace(one, name=sanitize_line(one.name)) for one in sets)


def _safe_tiers(scores: dict[str, float]) -> dict[str, float]:
    return {sanitize_line(tier): value for tier, value in scores.items()}


def _changes(body: Stage | Progress | Checkpoint | Evaluation | End) -> dict[str, object]:
    """The fields of a view that an event replaces."""
    match body:
        case Stage():
            return {"stage": body.name, "stage_note": sanitize_line(body.note), "progress": None}
        case Progress():
            return {"progress": replace(body, unit=sanitize_line(body.unit))}
        case Checkpoint():
            return {"checkpoint": body}
        case Evaluation():
            return {"evaluation": body}
        case End():
            return {"failed_gates": tuple(map(sanitize_line, body.failed_gates))}


def queue_order(views: Iterable[RunView]) -> list[RunView]:
    """The queued ones of ``views`` in the order of the host's queue."""
    queued = [(view.state.ticket, view) for view in views if view.state is not None and view.state.state == "queued"]
    return [view for _, view in sorted(queued, key=lambda pair: pair[0])]


def fraction_done(view: RunView) -> float | None:
    """How far the present stage is, 0 to 1; None where its total is not known."""
    if view.stage == "train" and view.total_steps and view.last_step:
        return min(1.0, view.last_step[0] / view.total_steps)
    if view.progress and view.progress.total:
        return min(1.0, view.progress.done / view.progress.total)
    return None


def training_seconds_left(view: RunView) -> float | None:
    """Seconds of training left at the mean pace since it began or resumed; None outside training or before two steps."""
    if view.stage != "train" or not view.first_step or not view.last_step:
        return None
    steps = view.last_step[0] - view.first_step[0]
    seconds = view.last_step[1] - view.first_step[1]
    return seconds_left(steps, view.total_steps - view.first_step[0], seconds)
