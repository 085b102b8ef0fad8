"""Capsules are read once, and those that a broken disk or a hostile host left give a problem, never a wrong number."""

from __future__ import annotations

import hashlib
import math
import random
import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest

from console.results.aggregate import aggregate
from console.results.items.items import item_table
from console.results.load import UnusableCapsule, load, read_capsule
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.items import ItemRow, column_types
from engine.contract.metrics import decode as decode_metrics
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.results.capsules import items_in, opened_files, results_in, row, write_capsule
from tests.console.results.reports import as_printed, as_text

RUN = RunId("A", 42)
ROWS = [row("r0", 1, margin=0.2), row("r1", 2, margin=-0.1, tier="tier2_robust"), row("c0", 1, kind="coherence")]


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return read_experiment(find_config("scaling.toml"))


@pytest.fixture
def capsule(experiment: Experiment, tmp_path: Path) -> RunFolder:
    write_capsule(tmp_path, experiment, RUN, ROWS)
    return RunFolder(tmp_path / str(RUN))


def rewrite(path: Path, **columns: pl.Expr) -> None:
    pl.read_parquet(path).with_columns(**columns).write_parquet(path)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"margin": pl.lit(math.nan)}, "a margin is not from"),
        ({"margin": pl.lit(1e308)}, "a margin is not from"),
        ({"mean_pool_margin": pl.lit(math.inf)}, "a mean_pool_margin is not from"),
        ({"rank": pl.lit(0, pl.Int64)}, "a rank is not from 1"),
        ({"rank": pl.lit(None, pl.Int64)}, "rank lacks a value"),
        ({"rank": pl.col("rank").cast(pl.Float64)}, "rank is Float64, not Int64"),
        ({"tier": pl.lit(None, pl.String)}, "tier lacks a value"),
        ({"kind": pl.lit("retrieval")}, "has no coherence item"),
    ],
)
def test_an_impossible_value_is_a_problem(
    experiment: Experiment, capsule: RunFolder, columns: dict[str, pl.Expr], expected: str
) -> None:
    rewrite(capsule.items, **columns)
    results = results_in(capsule.root.parent, experiment)
    assert results.runs[0].head is None and expected in results.runs[0].problem
    assert as_printed(results) and as_text(results) and items_in(capsule.root.parent, [RUN]).frame.is_empty()


def test_a_hostile_tier_cannot_steer_the_terminal(capsule: RunFolder) -> None:
    rewrite(capsule.items, tier=pl.lit("\x1b]0;owned\x07tier"))
    assert set(read_capsule(capsule).head.tiers) == {"tier"}


@pytest.mark.parametrize("file", ["metrics.json", "state.json", "spec.json"])
def test_a_depth_bomb_is_a_problem(experiment: Experiment, capsule: RunFolder, file: str) -> None:
    (capsule.root / file).write_bytes(b'{"x":' + b"[" * 200_000)
    assert results_in(capsule.root.parent, experiment).runs[0].problem


def test_an_unreadable_state_is_a_problem_and_not_a_run_never_launched(
    experiment: Experiment, capsule: RunFolder
) -> None:
    capsule.state.write_text("{")
    run = results_in(capsule.root.parent, experiment).runs[0]
    assert run.head is None and run.problem.startswith("state.json cannot be read: ")


@pytest.mark.parametrize("file", ["metrics.json", "items.parquet", "spec.json"])
def test_a_missing_file_is_named(experiment: Experiment, capsule: RunFolder, file: str) -> None:
    (capsule.root / file).unlink()
    with pytest.raises(FileNotFoundError, match=file):
        read_capsule(capsule)
    assert results_in(capsule.root.parent, experiment).runs[0].problem == f"has no {file}"


def test_a_parquet_file_on_which_polars_panics_is_unusable(capsule: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(_: object, columns: object = None) -> pl.DataFrame:
        raise pl.exceptions.PanicException("byte index out of range")

    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(UnusableCapsule, match="is damaged: byte index"):
        read_capsule(capsule)


def test_items_with_any_damaged_byte_are_refused(capsule: RunFolder) -> None:
    whole, chance = capsule.items.read_bytes(), random.Random(0)
    metrics = decode_metrics(capsule.metrics.read_bytes())
    named = msgspec.structs.replace(metrics, items_sha256=hashlib.sha256(whole).hexdigest())
    capsule.metrics.write_bytes(msgspec.json.encode(named))
    assert read_capsule(capsule).head.top1 == 0.5
    for _ in range(150):
        broken, place = bytearray(whole), chance.randrange(len(whole))
        broken[place] ^= chance.randrange(1, 256)
        capsule.items.write_bytes(broken)
        with pytest.raises(UnusableCapsule, match=r"items.parquet is not the file that metrics.json is of"):
            read_capsule(capsule)


RUNS = [RunId("A", 42), RunId("A", 123), RunId("B", 42)]
FILES = ["items.parquet", "metrics.json", "spec.json", "state.json"]


def test_every_file_is_opened_once(experiment: Experiment, tmp_path: Path) -> None:
    for run in RUNS:
        write_capsule(tmp_path, experiment, run, ROWS)
    with opened_files(tmp_path) as opened:
        loaded = load(tmp_path, RUNS)
        aggregate(experiment, "full", loaded)
        item_table(loaded, RUNS, experiment)
    assert sorted(opened) == sorted(f"{run}/{file}" for run in RUNS for file in FILES)


def test_loading_again_opens_only_what_has_arrived(experiment: Experiment, tmp_path: Path) -> None:
    *first, last = RUNS
    for run in first:
        write_capsule(tmp_path, experiment, run, ROWS)
    before = load(tmp_path, RUNS)
    write_capsule(tmp_path, experiment, last, ROWS)
    with opened_files(tmp_path) as opened:
        after = load(tmp_path, RUNS, before)
    assert sorted(opened) == [f"{last}/{file}" for file in FILES]
    assert [len(one.items) for one in (before, after)] == [2 * len(ROWS), 3 * len(ROWS)]
    assert after.items.equals(load(tmp_path, RUNS).items)


def test_a_new_launch_in_place_of_an_older_one_is_read(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RUN, ROWS)
    before = load(tmp_path, [RUN])
    shutil.rmtree(tmp_path / str(RUN))
    write_capsule(tmp_path, experiment, RUN, [row("r0", 1), row("c0", 2, kind="coherence")])
    (after,) = load(tmp_path, [RUN], before).runs.values()
    assert after.capsule is not None and (after.capsule.head.top1, after.capsule.head.coherence) == (1.0, 0.0)


def test_a_damaged_file_is_read_again_until_it_is_right(capsule: RunFolder) -> None:
    right = capsule.metrics.read_bytes()
    capsule.metrics.write_bytes(b"{")
    loaded = load(capsule.root.parent, [RUN])
    assert loaded.runs[RUN].capsule is None and loaded.runs[RUN].problem
    capsule.metrics.write_bytes(right)
    loaded = load(capsule.root.parent, [RUN], loaded)
    assert loaded.runs[RUN].capsule is not None and not loaded.runs[RUN].problem


def test_what_an_older_run_did_not_save_is_unknown(capsule: RunFolder) -> None:
    pl.read_parquet(capsule.items).drop("killer").write_parquet(capsule.items)
    assert read_capsule(capsule).items["killer"].to_list() == [None] * len(ROWS)


def test_all_items_are_one_frame_that_names_the_run(experiment: Experiment, tmp_path: Path) -> None:
    for run in RUNS:
        write_capsule(tmp_path, experiment, run, ROWS, evaluation=f"of {run}")
    items = load(tmp_path, [*RUNS, RunId("C", 42)]).items
    scalars = [name for name, kind in column_types(ItemRow).items() if not kind.is_list]
    assert items.columns == ["condition", "seed", "evaluation", *scalars]
    assert items.group_by("condition", "seed", "evaluation").len().sort("condition", "seed").rows() == [
        (run.condition, run.seed, f"of {run}", len(ROWS)) for run in sorted(RUNS)
    ]
    assert load(tmp_path, []).items.schema == items.schema
