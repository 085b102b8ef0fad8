"""How training went: loss and its spread over seeds, epochs to a threshold, attention entropy, warnings, time used."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from console.format import counted, duration
from console.results.descriptions.load_training import RecordedRun, TrainingEvents
from console.results.descriptions.records import (
    ConditionTraining,
    Convergence,
    PlannedTime,
    RunTime,
    SeedPoint,
    TrainingSummary,
)
from console.sanitize import sanitize_line
from engine.contract.analysis_settings import Timeline
from engine.contract.events import Measurement
from engine.contract.settings import RunId

PARTS = 10
"""Equal parts of a run's steps over which its training loss is averaged; the last one is the loss at the end."""


def training_summary(
    recordings: Mapping[RunId, RecordedRun],
    runs: Iterable[RunId],
    threshold: float | None,
    timeline: Timeline,
    analysis_seconds: float | None = None,
) -> TrainingSummary:
    """Summary of ``runs``, those that are counted; times are of all runs that recorded events.

    Args:
        threshold: of the score by which a run's best measurement is chosen, a fraction of 1; None: each run's is that
            score of frozen mean pooling.
        analysis_seconds: what it took to compute the results.
    """
    of_condition: dict[str, dict[int, TrainingEvents]] = {}
    for run in runs:
        seeds = of_condition.setdefault(run.condition, {})
        if (recorded := recordings.get(run)) is not None and recorded.events is not None:
            seeds[run.seed] = recorded.events
    times = tuple(
        RunTime(run.condition, run.seed, sum(one.events.seconds.values()), one.events.seconds)
        for run, one in recordings.items()
        if one.events is not None
    )
    names = {
        sanitize_line(one.measurements[-1].score_name)
        for seeds in of_condition.values()
        for one in seeds.values()
        if one.measurements
    }
    return TrainingSummary(
        tuple(condition_training(name, seeds, threshold) for name, seeds in of_condition.items()),
        threshold,
        names.pop() if len(names) == 1 else "",
        times,
        _planned_times(timeline, recordings, times, analysis_seconds),
        tuple(f"{run.label}: {problem}" for run, one in recordings.items() for problem in one.problems),
    )


def condition_training(name: str, runs: Mapping[int, TrainingEvents], threshold: float | None) -> ConditionTraining:
    """The training of one condition, ``runs`` by seed."""
    warnings: dict[str, int] = defaultdict(int)
    for one in runs.values():
        for kind, count in one.warnings.items():
            warnings[kind] += count
    convergence = tuple(
        _convergence(seed, one.measurements, threshold) for seed, one in runs.items() if one.measurements
    )
    measured = [[(_share(one), one) for one in run.measurements] for run in runs.values()]

    def curve(value: str) -> tuple[SeedPoint, ...]:
        return seed_points([(share, one.epoch, getattr(one, value)) for share, one in run] for run in measured)

    return ConditionTraining(
        name,
        tuple(runs),
        seed_points(_loss_parts(one) for one in runs.values()),
        curve("loss"),
        curve("score"),
        curve("attention_entropy"),
        convergence,
        _median_epoch(convergence),
        dict(sorted(warnings.items())),
        seed_points(_negative_gaps(one) for one in runs.values()),
    )


def _share(measurement: Measurement) -> int:
    """How far training is, in percent: seeds are measured at the same shares of their steps."""
    return round(100 * measurement.step / measurement.total_steps) if measurement.total_steps else 0


def _loss_parts(run: TrainingEvents) -> list[tuple[int, float, float]]:
    """Part, epochs done at its end, mean loss of its steps; parts without a step are left out."""
    steps, losses = run.losses.points()
    if not steps or not run.total_steps:
        return []
    epochs = _epochs_of_a_step(run)
    parts: dict[int, list[float]] = defaultdict(list)
    for step, loss in zip(steps, losses, strict=True):
        parts[min(PARTS, int((step - 1) * PARTS / run.total_steps) + 1)].append(loss)
    return [
        (part, epochs * run.total_steps * part / PARTS, statistics.fmean(values))
        for part, values in sorted(parts.items())
    ]


def _negative_gaps(run: TrainingEvents) -> list[tuple[int, float, float]]:
    """Place in percent of the steps, epochs done, and the share, of each early warning."""
    if not run.total_steps:
        return []
    epochs = _epochs_of_a_step(run)
    return [(round(100 * step / run.total_steps), epochs * step, value) for step, value in run.negative_gaps.items()]


def _epochs_of_a_step(run: TrainingEvents) -> float:
    return next((one.epoch / one.step for one in reversed(run.measurements) if one.step), 0.0)


def seed_points(runs: Iterable[Sequence[tuple[int, float, float]]]) -> tuple[SeedPoint, ...]:
    """Points over seeds of (place, epoch, value) of each run; a seed that lacks a place is missing from its n."""
    at: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for run in runs:
        for place, epoch, value in run:
            at[place].append((epoch, value))
    return tuple(
        SeedPoint(
            statistics.fmean(epoch for epoch, _ in values),
            statistics.fmean(value for _, value in values),
            statistics.stdev(value for _, value in values) if len(values) > 1 else None,
            len(values),
        )
        for _, values in sorted(at.items())
    )


def _convergence(seed: int, measurements: Sequence[Measurement], threshold: float | None) -> Convergence:
    first = next(
        (one for one in measurements if one.score >= (one.mean_pool_score if threshold is None else threshold)), None
    )
    last = measurements[-1]
    if first is None:
        return Convergence(seed, None, None, last.epoch, last.step)
    return Convergence(seed, first.epoch, first.step, last.epoch, last.step)


def _median_epoch(convergence: Sequence[Convergence]) -> float | None:
    epochs = sorted(one.epoch if one.epoch is not None else float("inf") for one in convergence)
    if not epochs:
        return None
    middle = (epochs[(len(epochs) - 1) // 2] + epochs[len(epochs) // 2]) / 2
    return middle if middle < float("inf") else None


def _planned_times(
    timeline: Timeline,
    recordings: Mapping[RunId, RecordedRun],
    times: Sequence[RunTime],
    analysis_seconds: float | None,
) -> tuple[PlannedTime, ...]:
    recorded = [one.events for one in recordings.values() if one.events is not None]
    runs, all_runs, elapsed = None, None, ""
    if times:
        all_runs = math.fsum(one.total for one in times)
        runs = all_runs / len(times)
        seconds = max(one.last_event for one in recorded) - min(one.first_event for one in recorded)
        elapsed = f"{counted(len(times), 'run')} in turn; first event to last {duration(seconds)}"
    spread = f"mean; {' to '.join(duration(end(one.total for one in times)) for end in (min, max))}" if times else ""
    return (
        PlannedTime("set-up", 60 * timeline.set_up, None, "before the first run: no run records it"),
        PlannedTime("a run", 60 * timeline.run, runs, spread),
        PlannedTime("in all", 60 * timeline.total, all_runs, elapsed),
        PlannedTime("analysis", 60 * timeline.analysis, analysis_seconds),
    )
