"""Reads what runs recorded while they trained, events and attention, from their local copies: each file once."""

from __future__ import annotations

import hashlib
import io
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl

from console.format import counted
from console.results.load import version_of
from console.runs.series import Series
from console.sanitize import sanitize_line
from engine.contract import events as events_file
from engine.contract import manifest as manifest_file
from engine.contract.bad_input import BadInput
from engine.contract.events import Event, Measurement, Stage, Step, Warning
from engine.contract.items import AttentionRow, column_types
from engine.contract.run_folder import RunFolder, open_regular
from engine.contract.settings import RunId

_COLUMNS: dict[str, pl.DataType] = {
    name: pl.List(getattr(pl, kind.name)()) if kind.is_list else getattr(pl, kind.name)()
    for name, kind in column_types(AttentionRow).items()
}
_NULLABLE = frozenset(name for name, kind in column_types(AttentionRow).items() if kind.is_nullable)
_SHARE = (-0.001, 1.001)  # sums of float32
_RANGES = {"step": (0, 2**53), "tokens": (1, 2**20), "epoch": (0.0, 1e15), "entropy": (-0.01, 1.01)}
_RANGES |= {"lemma_mass": _SHARE, "cue_mass": _SHARE}
_LISTS = ("token_texts", "weights")
_PARQUET = b"PAR1"  # first and last bytes of every such file


class TrainingEvents(NamedTuple):
    """What the events of one run say of its training.

    Attributes:
        losses: training loss (y) of each optimizer step (x), from 1; of a step taken again after a resume, the last.
        total_steps: planned; 0 before the first step.
        measurements: by step, that of step 0 first.
        warnings: how many of each kind.
        negative_gaps: share of hard pairs with a negative gap, by the step of the early warning that says it.
        seconds: wall time by stage, over all processes of the run, without the time between them.
        first_event, last_event: host's Unix time in s.
    """

    losses: Series
    total_steps: int
    measurements: tuple[Measurement, ...]
    warnings: dict[str, int]
    negative_gaps: dict[int, float]
    seconds: dict[str, float]
    first_event: float
    last_event: float


class RecordedRun(NamedTuple):
    """What one run recorded.

    Attributes:
        events: None without any.
        attention: the columns of ``AttentionRow``, sorted by step; None without any. Of all measurements but the one whose
            head was evaluated, the tokens and their weights are null.
        problems: a line for each file that cannot be used, or in part.
        version: changes whenever one of the files that were read changes.
    """

    events: TrainingEvents | None = None
    attention: pl.DataFrame | None = None
    problems: tuple[str, ...] = ()
    version: tuple[object, ...] = ()


Recordings = dict[RunId, RecordedRun]


class _Unusable(Exception):
    """A file cannot be used; the message says why and is safe to show."""


def load_training(folder: Path, runs: Iterable[RunId], previous: Recordings | None = None) -> Recordings:
    """Read ``runs`` from the experiment's ``folder``; what has not changed since ``previous`` is taken from there.

    A file that is damaged costs what it holds and is named; nothing raises.
    """
    known = previous or {}
    return {run: _read_run(RunFolder(folder / str(run)), known.get(run)) for run in runs}


def _read_run(folder: RunFolder, known: RecordedRun | None) -> RecordedRun:
    version = version_of(folder.manifest, folder.events, folder.attention)
    # A problem may have been a passing one, such as too many open files: only what was read well is kept.
    if known is not None and known.version == version and not known.problems:
        return known
    problems: list[str] = []
    events, attention = None, None
    try:
        hashes = _hashes(folder.manifest)
        try:
            events, malformed = _read_events(folder.events, hashes)
            if malformed:
                problems.append(f"{folder.events.name}: {counted(malformed, 'line')} cannot be read")
        except (_Unusable, OSError) as error:
            problems.append(_problem(folder.events, error))
        try:
            last = events.measurements[-1].best_step if events and events.measurements else None
            attention = _read_attention(folder.attention, hashes, last)
        except (_Unusable, OSError) as error:
            problems.append(_problem(folder.attention, error))
    except (BadInput, OSError) as error:
        problems.append(_problem(folder.manifest, error))
    return RecordedRun(events, attention, tuple(problems), version)


def _problem(path: Path, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return sanitize_line(f"{path.name}: {reason}", limit=200)


def _hashes(path: Path) -> dict[str, str]:
    """SHA-256 of each file that the manifest lists; empty while there is none."""
    try:
        with open_regular(path) as file:
            return {entry.path: entry.sha256 for entry in manifest_file.decode(file.read()).files}
    except FileNotFoundError:
        return {}


def _content(path: Path, hashes: dict[str, str]) -> bytes:
    """The content of a file, b"" if there is none.

    Raises:
        OSError: it cannot be read.
        _Unusable: it is not the file that the manifest lists.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
    except FileNotFoundError:
        return b""
    if path.name in hashes and hashlib.sha256(content).hexdigest() != hashes[path.name]:
        raise _Unusable("is not the file that manifest.json lists: it is damaged or was replaced")
    return content


def _read_events(path: Path, hashes: dict[str, str]) -> tuple[TrainingEvents | None, int]:
    """The events, and how many lines could not be decoded; a last line without its end is still being written."""
    found: list[Event] = []
    malformed = 0
    content = _content(path, hashes)
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        try:
            found.append(events_file.decode(line))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            malformed += 1
    return (training_events(found) if found else None), malformed


def training_events(events: Iterable[Event]) -> TrainingEvents:
    """What ``events``, at least one and in their order, say of a training."""
    losses: dict[int, float] = {}
    measurements: dict[int, Measurement] = {}
    warnings = set[Warning]()  # a resumed run gives those of the steps since its checkpoint again
    negative_gaps: dict[int, float] = {}
    seconds = defaultdict[str, float](float)
    total_steps = 0
    times: list[float] = []
    stage, last = "", 0.0
    for event in events:
        times.append(event.t)
        match event.body:
            # Each process begins with this stage, and has a clock of its own.
            case Stage(name="data"):
                stage = "data"
            case body:
                if stage:
                    seconds[stage] += max(0.0, event.t - last)
                if isinstance(body, Stage):
                    stage = body.name
                elif isinstance(body, Step):
                    losses[body.step], total_steps = body.loss, body.total_steps
                elif isinstance(body, Measurement):
                    measurements[body.step] = body
                elif isinstance(body, Warning):
                    warnings.add(body)
                    if body.kind == "early_warning" and 0 <= body.value <= 1:
                        negative_gaps[body.step] = body.value
        last = event.t
    steps = sorted(losses)
    return TrainingEvents(
        Series(array("d", steps), array("d", (losses[step] for step in steps))),
        total_steps,
        tuple(measurements[step] for step in sorted(measurements)),
        dict(sorted(Counter(warning.kind for warning in warnings).items())),
        dict(sorted(negative_gaps.items())),
        dict(seconds),
        min(times),
        max(times),
    )


def _read_attention(path: Path, hashes: dict[str, str], best_step: int | None) -> pl.DataFrame | None:
    """The attention of a run; tokens and weights of ``best_step`` alone, of its last measurement if that is not known.

    Raises:
        OSError: it cannot be read.
        _Unusable: it is damaged, a column is missing or of another type, or a value is missing or out of range.
    """
    content = _content(path, hashes)
    if not content:
        return None
    # For some damaged files polars ends the whole process: what has no manifest yet must at least look like Parquet.
    if not (len(content) > 12 and content.startswith(_PARQUET) and content.endswith(_PARQUET)):
        raise _Unusable("is no Parquet file, or was cut")
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _Unusable(f"is damaged: {error}") from error
    for name, wanted in _COLUMNS.items():
        if name not in frame.columns:
            raise _Unusable(f"lacks the column {name}")
        if frame[name].dtype != wanted:
            raise _Unusable(f"{name} is {frame[name].dtype}, not {wanted}")
        if frame[name].null_count() and name not in _NULLABLE:
            raise _Unusable(f"{name} lacks a value")
    for name, (low, high) in _RANGES.items():
        if not frame[name].drop_nulls().is_between(low, high).all():  # False for NaN too
            raise _Unusable(f"a value of {name} is not from {low:g} to {high:g}")
    if frame.is_empty():
        return None
    frame = frame.select(*_COLUMNS).sort("step", "item_id", maintain_order=True)
    kept = best_step if best_step in frame["step"] else frame["step"].max()
    frame = frame.with_columns(pl.when(pl.col("step") == kept).then(name).alias(name) for name in _LISTS)
    if not _weights_are_valid(frame):
        raise _Unusable("a token lacks its weight, or a weight is not from 0 to 1")
    return frame


def _weights_are_valid(frame: pl.DataFrame) -> bool:
    shown = frame.filter(pl.col("weights").is_not_null())
    weights = shown["weights"].explode()
    counts = shown.select(
        fits=(pl.col("weights").list.len() == pl.col("tokens")) & (pl.col("token_texts").list.len() == pl.col("tokens"))
    )
    return bool(counts["fits"].all()) and not weights.null_count() and bool(weights.is_between(*_SHARE).all())
