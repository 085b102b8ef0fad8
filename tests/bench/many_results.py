"""The results of 100 conditions x 20 seeds x 2,000 items, read and aggregated, against polars' means of the same files."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import msgspec
import polars as pl
from msgspec.structs import replace

from console.results.aggregate import aggregate
from console.results.load import load
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import Spec, resolve, run_ids
from engine.contract.toml_file import find_config
from tests.bench.row import Row, row
from tests.console.results.capsules import row as item_row
from tests.console.results.capsules import write_capsule

CONDITIONS, SEEDS, ITEMS = 100, 20, 2000
PAIRS = 3


def wide_experiment(conditions: int, seeds: int) -> Experiment:
    experiment = read_experiment(find_config("scaling.toml"))
    named = {f"X{number}": experiment.conditions["A"] for number in range(conditions)}
    full = {"full": experiment.profiles["full"]}
    return replace(experiment, conditions=named, seeds=tuple(range(seeds)), profiles=full, contingency=(), outcomes={})


def write_runs(folder: Path, experiment: Experiment, items: int) -> None:
    """The same items for every run: what is in them changes no time."""
    first, *others = run_ids(experiment, "full")
    kinds = ("retrieval", "coherence")
    rows = [item_row(f"{at:05d}", 1 + at % 4, kind=kinds[at % 2], margin=at / items) for at in range(items)]
    write_capsule(folder, experiment, first, [one._replace(lemma=f"lemma{at // 5}") for at, one in enumerate(rows)])
    for run in others:
        (folder / str(run)).mkdir()
        for name in ("items.parquet", "metrics.json", "state.json"):
            os.link(folder / str(first) / name, folder / str(run) / name)
        settings = resolve(experiment, "full", run)
        spec = Spec(settings, settings.fingerprint(), "d", "m", "e", "cpu", {}, "")
        (folder / str(run) / "spec.json").write_bytes(msgspec.json.encode(spec))


def seconds_of_results(folder: Path, experiment: Experiment) -> float:
    started = time.perf_counter()
    results = aggregate(experiment, "full", load(folder, run_ids(experiment, "full")))
    took = time.perf_counter() - started
    assert all(one.evaluated == one.total for one in results.conditions)
    return took


def seconds_of_polars(folder: Path, experiment: Experiment) -> float:
    """The same columns of each file, and three means of them."""
    names = ("kind", "item_id", "lemma", "tier", "rank", "margin", "query", "answer", "chosen", "right")
    started = time.perf_counter()
    for run in run_ids(experiment, "full"):
        items = pl.read_parquet(folder / str(run) / "items.parquet", columns=list(names))
        items.group_by("kind", "tier").agg((pl.col("rank") == 1).mean(), pl.col("margin").mean().alias("mean"))
    return time.perf_counter() - started


def measure() -> Row:
    experiment = wide_experiment(CONDITIONS, SEEDS)
    with tempfile.TemporaryDirectory() as folder:
        write_runs(Path(folder), experiment, ITEMS)
        pairs = [
            (seconds_of_results(Path(folder), experiment), seconds_of_polars(Path(folder), experiment))
            for _ in range(PAIRS)
        ]
    size = f"{CONDITIONS} conditions x {SEEDS} seeds x {ITEMS:,} items"
    note = f"ours: verified, by item and aggregated, {size}; peer: polars reads them and takes means; 10 s are required"
    return row("results of many runs", pairs, 5.0, note)
