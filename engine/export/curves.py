"""Curves of a run from its events: one row of numbers for each step, each measurement and the evaluation."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.contract.bad_input import BadInput
from engine.contract.events import Body, Evaluation, Event, Measurement, SetScores, Step, decode
from engine.contract.validation_words import error_in_words


class Point(NamedTuple):
    """Numbers of a run after ``step`` optimizer steps, by name such as ``train/loss``; ``unix_time`` is the host's."""

    step: int
    unix_time: float
    values: dict[str, float]


def read_events(path: Path) -> list[Event]:
    """The events of a run; a last line that a crash cut short is left out.

    Raises:
        BadInput: there is no such file, or a line is no event.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"a run without its events: {error.strerror}", file=path) from error
    events = []
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            events.append(decode(line))
        except msgspec.MsgspecError as error:
            raise BadInput(f"not an event: {error_in_words(error)}", file=path, line=number) from error
    return events


def curve_points(events: Sequence[Event]) -> list[Point]:
    """The points of a run's curves, by step; of a step that a resumed run did again the last one counts."""
    found: dict[tuple[int, type[Body]], Point] = {}
    step = 0
    for event in events:
        step = event.body.step if isinstance(event.body, Step | Measurement) else step
        if values := dict(_values(event.body)):
            found[step, type(event.body)] = Point(step, event.t, values)
    return sorted(found.values(), key=lambda point: (point.step, point.unix_time))


def curves_csv(events: Sequence[Event]) -> bytes:
    """The points as CSV, a column for each name; what a point has no value for is left empty."""
    points = curve_points(events)
    names = dict.fromkeys(name for point in points for name in point.values)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("step", "unix_time", *names))
    writer.writerows((point.step, point.unix_time, *(point.values.get(name, "") for name in names)) for point in points)
    return text.getvalue().encode()


def _values(body: Body) -> Iterator[tuple[str, float]]:
    match body:
        case Step() as step:
            yield from {"train/loss": step.loss, "train/learning_rate": step.learning_rate}.items()
            yield from ((f"train/drawn/{tier}", count) for tier, count in step.tiers.items())
        case Measurement() as measured:
            for name in ("epoch", "loss", "top1", "margin", "attention_entropy", "score", "best_step"):
                yield f"development/{name}", getattr(measured, name)
            yield from ((f"development/{tier}/top1", value) for tier, value in measured.tiers.items())
            yield from _set_values("development", measured.sets)
            yield "development/mean_pool/top1", measured.mean_pool_top1
            yield "development/mean_pool/score", measured.mean_pool_score
            yield from _set_values("development/mean_pool", measured.mean_pool_sets)
            yield from (
                (f"development/mean_pool/{tier}/top1", value) for tier, value in measured.mean_pool_tiers.items()
            )
            if measured.chance is not None:
                yield "development/chance/top1", measured.chance.top1
                yield "development/chance/score", measured.chance.score
                yield from ((f"development/chance/{tier}/top1", value) for tier, value in measured.chance.tiers.items())
                yield from _set_values("development/chance", measured.chance.sets)
            if measured.tier3_exposures is not None:
                yield "train/tier3_exposures", measured.tier3_exposures
        case Evaluation() as scores:
            yield from ((f"evaluation/{name}", value) for name, value in msgspec.structs.asdict(scores).items())


def _set_values(prefix: str, sets: Sequence[SetScores]) -> Iterator[tuple[str, float]]:
    for scores in sets:
        for name in ("top1", "top3", "coherence"):
            if (value := getattr(scores, name)) is not None:
                yield f"{prefix}/{scores.name}/{name}", value
