"""Capsules with item tables made by hand, for results whose right answers are known."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import polars as pl

from console.results.aggregate import aggregate
from console.results.items.items import ItemTable, item_table
from console.results.load import load
from console.results.records import Results
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.items import ItemRow
from engine.contract.metrics import Estimate, Informativeness, Margins, Metrics, Scores, TierScore, judge
from engine.contract.settings import RunId, Spec, resolve, run_ids
from engine.contract.state import RunState
from engine.contract.toml_file import find_config


def row(
    item: str, rank: int, *, kind: str = "retrieval", tier: str = "tier1_easy", margin: float = 0.0, pool: int = 1
) -> ItemRow:
    return ItemRow(
        kind,
        item,
        "bank",
        tier,
        "example",
        5,
        rank,
        rank == 1,
        rank <= 3,
        margin,
        "",
        pool,
        0.1,
        f"q {item}",
        "right",
        "wrong",
        "noun",
        2,
        0,
        0,
        "equal_overlap",
        1.0,
        0.5,
        0.5,
        [margin, 0.0],
        [True, False],
        [0.1, 0.0],
        [1],
        [0.1],
        "wrong sense",
        None,
        "",
        ["right", "wrong"],
        ["<start>", "q", item, "<end>"],
        [0.1, 0.2, 0.6, 0.1],
    )


def write_capsule(
    folder: Path,
    experiment: Experiment,
    run: RunId,
    rows: Sequence[ItemRow],
    *,
    evaluation: str = "e",
    top1: float | None = None,
    profile: str = "full",
    gains: Mapping[str, Estimate] | None = None,
    steps: int = 1,
    exposures: float | None = 7.25,
) -> None:
    """Write the local copy of a finished run of ``experiment``; ``top1`` makes its metrics contradict its items."""
    capsule = folder / str(run)
    capsule.mkdir(parents=True)
    frame = pl.DataFrame(rows, schema=list(ItemRow._fields), orient="row")
    frame.with_columns(pl.col("cue_strength").cast(pl.Float64)).write_parquet(capsule / "items.parquet")
    retrieval = [one for one in rows if one.kind == "retrieval"]
    coherence = [one for one in rows if one.kind == "coherence"]
    scores = Scores(
        sum(one.rank == 1 for one in retrieval) / len(retrieval) if top1 is None else top1,
        sum(one.rank <= 3 for one in retrieval) / len(retrieval),
        sum(one.rank == 1 for one in coherence) / len(coherence),
        Margins(0.0, 0.0, 0.0),
        {"tier1_easy": TierScore(1, 1.0)},
        0.0,
        0.0,
        {},
        {},
    )
    gates = judge({}, experiment.gates)
    metrics = Metrics(
        run.condition,
        run.seed,
        evaluation,
        "d",
        len(retrieval),
        len(coherence),
        scores,
        scores,
        {},
        dict(gains or {}),
        Informativeness({}, {}, 1.0, 1.0, 0, 0),
        1,
        1,
        steps,
        1,
        0,
        gates,
        {},
        best_step=30,
        best_score=0.6,
        score_name="top-1\x1b[31m",
        tier3_exposures=exposures,
    )
    (capsule / "metrics.json").write_bytes(msgspec.json.encode(metrics))
    settings = resolve(experiment, profile, run)
    spec = Spec(settings, settings.fingerprint(), "d", "m", evaluation, "cpu", {}, "")
    (capsule / "spec.json").write_bytes(msgspec.json.encode(spec))
    (capsule / "state.json").write_bytes(msgspec.json.encode(RunState("finished", "0" * 32)))


def results_in(
    folder: Path,
    experiment: Experiment,
    states: Mapping[RunId, RunState | None] | None = None,
    damaged: Mapping[RunId, str] | None = None,
) -> Results:
    """Load and aggregate the capsules in ``folder``."""
    return aggregate(experiment, "full", load(folder, run_ids(experiment, "full")), states, damaged)


def items_in(folder: Path, runs: Sequence[RunId]) -> ItemTable:
    """Load ``runs`` from ``folder`` and count their items."""
    return item_table(load(folder, runs), runs, read_experiment(find_config("scaling.toml")))


_recorders: list[tuple[Path, list[str]]] = []


def _record(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _recorders and isinstance(arguments[0], str | os.PathLike):
        for folder, opened in _recorders:
            if (path := Path(arguments[0])).is_relative_to(folder):
                opened.append(path.relative_to(folder).as_posix())


sys.addaudithook(_record)  # cannot be removed again, so it is added once and idle most of the time


@contextmanager
def opened_files(folder: Path) -> Iterator[list[str]]:
    """Record every opening of a file in ``folder``, as paths relative to it."""
    recorder: tuple[Path, list[str]] = (folder, [])
    _recorders.append(recorder)
    try:
        yield recorder[1]
    finally:
        _recorders.remove(recorder)
