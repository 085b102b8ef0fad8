"""Reads evaluated runs from their local copies: each run folder once, its items checked against its metrics."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl

from console.results.records import ModelScores
from console.results.run_scores import HEAD, MEAN_POOL, RunScores, run_scores
from console.sanitize import sanitize_line
from engine.contract import metrics as metrics_file
from engine.contract import state as state_file
from engine.contract.items import ItemRow, column_types
from engine.contract.metrics import Metrics, Scores
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId, Settings, decode_spec
from engine.contract.state import RunState
from engine.contract.validation_words import error_in_words

READERS = 4
_RANKS, _MARGINS = (1, 2**31), (-2.001, 2.001)  # a margin is a difference of two float32 cosines
_RANGES = {"rank": _RANKS, "mean_pool_rank": _RANKS, "margin": _MARGINS, "mean_pool_margin": _MARGINS}
# Lists, such as every candidate's similarity, are left in the file: no view of all runs at once shows them.
_COLUMNS: dict[str, pl.DataType] = {
    name: getattr(pl, kind.name)() for name, kind in column_types(ItemRow).items() if not kind.is_list
}
_LISTS: dict[str, pl.DataType] = {
    name: pl.List(getattr(pl, kind.name)())
    for name, kind in column_types(ItemRow).items()
    if name in ("right", "baseline_ranks", "baseline_margins")
}
_NULLABLE = frozenset(name for name, kind in column_types(ItemRow).items() if kind.is_nullable)
_RUN_COLUMNS: dict[str, pl.DataType] = {"condition": pl.String(), "seed": pl.Int64(), "evaluation": pl.String()}


class UnusableCapsule(Exception):
    """A file of the run cannot be read or contradicts another; the message says why and is safe to show."""


class Capsule(NamedTuple):
    """What an evaluated run left: its settings, metrics and items, the scores of both models, and by item."""

    settings: Settings
    metrics: Metrics
    items: pl.DataFrame
    head: ModelScores
    mean_pool: ModelScores
    scores: RunScores


class LoadedRun(NamedTuple):
    """One run folder as it was read.

    Attributes:
        state: None if there is no local copy, or its state cannot be read.
        capsule: None if the run was not evaluated, or ``problem`` says why it could not be loaded.
        version: changes whenever one of the files that were read changes.
    """

    state: RunState | None = None
    capsule: Capsule | None = None
    problem: str = ""
    version: tuple[object, ...] = ()


class LoadedRuns:
    """The local copies of an experiment's runs.

    Attributes:
        runs: every run that was asked for, with its capsule or why it could not be loaded.
    """

    def __init__(self, runs: dict[RunId, LoadedRun], items: pl.DataFrame | None = None) -> None:
        self.runs = runs
        self._items = items

    @property
    def items(self) -> pl.DataFrame:
        """The items of all capsules, the columns of ``ItemRow`` without its lists, after those of ``_RUN_COLUMNS``.

        These are ``condition``, ``seed`` and ``evaluation`` (the fingerprint of the evaluation data). Joined when they are
        first asked for: of hundreds of runs they take gigabytes.
        """
        if self._items is None:
            frames = [pl.DataFrame(schema=_RUN_COLUMNS | _COLUMNS)]
            for run, one in self.runs.items():
                if one.capsule is not None:
                    values = (run.condition, run.seed, one.capsule.metrics.eval_fingerprint)
                    frames.append(
                        pl.DataFrame([values], _RUN_COLUMNS, orient="row").join(one.capsule.items, how="cross")
                    )
            self._items = pl.concat(frames)
        return self._items


def load(folder: Path, runs: Iterable[RunId], previous: LoadedRuns | None = None) -> LoadedRuns:
    """Read ``runs`` from the experiment's ``folder``; what has not changed since ``previous`` is taken from there."""
    known = previous.runs if previous is not None else {}
    wanted = list(runs)
    with ThreadPoolExecutor(READERS) as pool:  # decoding and hashing need no lock of Python's
        loaded = pool.map(lambda run: _load_run(RunFolder(folder / str(run)), known.get(run)), wanted)
        return LoadedRuns(dict(zip(wanted, loaded, strict=True)))


def _load_run(folder: RunFolder, known: LoadedRun | None) -> LoadedRun:
    version = version_of(folder.manifest, folder.state, folder.spec, folder.metrics, folder.items)
    # A problem may have been a passing one, such as too many open files: only what was read well is kept.
    if known is not None and known.version == version and not known.problem:
        return known
    try:
        state = state_file.decode(folder.state.read_bytes())
    except FileNotFoundError:
        return LoadedRun(version=version)
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        return LoadedRun(problem=sanitize_line(f"{folder.state.name} cannot be read: {error_in_words(error)}"))
    try:
        return LoadedRun(state, read_capsule(folder), version=version)
    except FileNotFoundError as error:  # a run that did not finish need not have been evaluated
        problem = f"has no {Path(error.filename).name}" if state.state == "finished" else ""
        return LoadedRun(state, problem=problem, version=version)
    except UnusableCapsule as error:
        return LoadedRun(state, problem=str(error))


def version_of(*paths: Path) -> tuple[object, ...]:
    """Identity of the files at ``paths``: it changes whenever one of them is written, replaced or deleted.

    More than the manifest's fingerprint, because a folder may have none yet, and a damaged file that was replaced by
    the right one leaves the manifest as it was.
    """
    version: list[object] = []
    for path in paths:
        with suppress(OSError):
            stat = path.stat()
            version.append((path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    return tuple(version)


def read_capsule(folder: RunFolder) -> Capsule:
    """Read an evaluated run from ``folder``.

    Raises:
        FileNotFoundError: it has no metrics, no items or no spec.
        UnusableCapsule: one of them cannot be read, or the items contradict the metrics.
    """
    try:
        metrics = metrics_file.decode(folder.metrics.read_bytes())
        table = _read_items(folder.items, metrics.items_sha256)
        scores, items = run_scores(table, metrics), table.drop(_LISTS)
        settings = decode_spec(folder.spec.read_bytes()).settings
        head, mean_pool = scores.summary(HEAD), scores.summary(MEAN_POOL)
    except FileNotFoundError:
        raise
    except (OSError, msgspec.MsgspecError, RecursionError, pl.exceptions.PolarsError, ValueError) as error:
        raise UnusableCapsule(sanitize_line(error_in_words(error))) from error
    if problem := _disagreement(head, metrics.head):
        raise UnusableCapsule(problem)
    return Capsule(settings, metrics, items, head, mean_pool, scores)


def read_verified(path: Path, sha256: str, only: Collection[str] | None = None) -> pl.DataFrame:
    """A Parquet file whose hash is ``sha256`` ("" is any): all its columns, or those it has of ``only``.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is another file, or damaged.
        polars.exceptions.PolarsError: not Parquet.
    """
    content = path.read_bytes()
    # Checked first, since for some damaged files polars ends the whole process.
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path.name} is not the file that metrics.json is of: it is damaged or was replaced")
    try:
        # From bytes, since a frame that is kept must not map a file that a sync may replace.
        columns = (
            None if only is None else [name for name in pl.read_parquet_schema(io.BytesIO(content)) if name in only]
        )
        return pl.read_parquet(io.BytesIO(content), columns=columns)
    except pl.exceptions.PanicException as error:  # a BaseException that polars raises for some damaged files
        raise ValueError(f"{path.name} is damaged: {error}") from error


def _read_items(path: Path, sha256: str) -> pl.DataFrame:
    """The items of a run: the columns of ``ItemRow``, of its lists only ``_LISTS``, each value in its range.

    Raises:
        FileNotFoundError: there are none.
        ValueError: it is not the file of ``sha256`` ("" is any), a column is missing or of another type, a value is missing
            or out of range, or there is no retrieval or no coherence item.
        polars.exceptions.PolarsError: not Parquet.
    """
    items = read_verified(path, sha256, only=_COLUMNS | _LISTS)
    # What may be unknown is unknown in a run of a version that did not save it yet.
    items = items.with_columns(pl.lit(None, _COLUMNS[name]).alias(name) for name in _NULLABLE - set(items.columns))
    columns = _COLUMNS | _LISTS
    if missing := set(columns) - set(items.columns):
        raise ValueError(f"{path.name} lacks the columns {', '.join(sorted(missing))}")
    items = items.select(*columns)
    for name, wanted in columns.items():
        if items[name].dtype != wanted:
            raise ValueError(f"{path.name}: {name} is {items[name].dtype}, not {wanted}")
        if items[name].null_count() and name not in _NULLABLE:
            raise ValueError(f"{path.name}: {name} lacks a value")
    found = items.select(
        # an empty list becomes one null when lists are joined
        *((pl.col(name).explode().null_count() - (pl.col(name).list.len() == 0).sum()).alias(name) for name in _LISTS),
        *(pl.col(name).is_between(*bounds).all().alias(name) for name, bounds in _RANGES.items()),
    ).row(0, named=True)
    for name in _LISTS:
        if found[name]:
            raise ValueError(f"{path.name}: {name} lacks a value")
    for name, (low, high) in _RANGES.items():
        if not found[name]:  # False for NaN too
            raise ValueError(f"{path.name}: a {name} is not from {low} to {high}")
    for kind in ("retrieval", "coherence"):
        if not (items["kind"] == kind).any():
            raise ValueError(f"{path.name} has no {kind} item")
    return items


def _disagreement(computed: ModelScores, stated: Scores) -> str:
    """Which score of the engine's metrics its items contradict; "" if none."""
    pairs = (
        ("top-1", computed.top1, stated.retrieval_top1),
        ("top-3", computed.top3, stated.retrieval_top3),
        ("coherence", computed.coherence, stated.coherence_accuracy),
    )
    for name, from_items, from_metrics in pairs:
        if not abs(from_items - from_metrics) < 1e-6:  # written so that NaN disagrees
            return f"metrics.json says {name} {from_metrics:.4f}, its items say {from_items:.4f}"
    return ""
