"""Capsules as a broken disk or a hostile host leaves them: a problem in words, never a number that is not true."""

from __future__ import annotations

import math
import random
from pathlib import Path

import polars as pl
import pytest

from console.results.capsule import Missing, Unusable, read_capsule
from console.results.collect import collect
from console.results.failures import failed_items
from console.results.report import as_json, as_text
from engine.contract.experiment import Experiment, read_experiment
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.results.rows import row, write_capsule

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
def test_a_value_that_cannot_be_is_a_problem(
    experiment: Experiment, capsule: RunFolder, columns: dict[str, pl.Expr], expected: str
) -> None:
    rewrite(capsule.items, **columns)
    results = collect(experiment, "full", capsule.root.parent)
    assert results.runs[0].head is None and expected in results.runs[0].problem
    assert as_json(results) and as_text(results) and failed_items(capsule.root.parent, [RUN]) == ()


def test_a_column_too_many_is_no_harm(experiment: Experiment, capsule: RunFolder) -> None:
    other = RunId("B", 42)
    write_capsule(capsule.root.parent, experiment, other, ROWS)
    rewrite(capsule.items, extra=pl.lit(1))
    (failed,) = failed_items(capsule.root.parent, [RUN, other])
    assert (failed.item_id, failed.failed, failed.runs) == ("r1", 2, 2)


def test_a_hostile_tier_cannot_steer_the_terminal(capsule: RunFolder) -> None:
    rewrite(capsule.items, tier=pl.lit("\x1b]0;owned\x07tier"))
    assert set(read_capsule(capsule).head.tiers) == {"tier"}


@pytest.mark.parametrize("file", ["metrics.json", "state.json", "spec.json"])
def test_a_depth_bomb_is_a_problem(experiment: Experiment, capsule: RunFolder, file: str) -> None:
    (capsule.root / file).write_bytes(b'{"x":' + b"[" * 200_000)
    assert collect(experiment, "full", capsule.root.parent).runs[0].problem


def test_a_broken_state_is_said_and_not_taken_for_a_run_never_launched(
    experiment: Experiment, capsule: RunFolder
) -> None:
    capsule.state.write_text("{")
    run = collect(experiment, "full", capsule.root.parent).runs[0]
    assert run.head is None and run.problem.startswith("state.json cannot be read: ")


@pytest.mark.parametrize("file", ["metrics.json", "items.parquet", "spec.json"])
def test_what_is_missing_is_named(experiment: Experiment, capsule: RunFolder, file: str) -> None:
    (capsule.root / file).unlink()
    with pytest.raises(Missing, match=file):
        read_capsule(capsule)
    assert collect(experiment, "full", capsule.root.parent).runs[0].problem == f"has no {file}"


def test_a_parquet_that_polars_gives_up_on_is_unusable(capsule: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(_: Path) -> pl.DataFrame:
        raise pl.exceptions.PanicException("byte index out of range")

    monkeypatch.setattr(pl, "read_parquet", give_up)
    with pytest.raises(Unusable, match="is damaged: byte index"):
        read_capsule(capsule)


def test_whatever_a_disk_makes_of_items_is_read_or_refused(capsule: RunFolder) -> None:
    whole, chance = capsule.items.read_bytes(), random.Random(0)
    for _ in range(150):
        broken = bytearray(whole)
        broken[chance.randrange(len(broken))] = chance.randrange(256)
        capsule.items.write_bytes(broken)
        try:
            assert 0 <= read_capsule(capsule).head.top1 <= 1
        except (Missing, Unusable) as error:
            assert str(error)


def test_items_of_different_evaluations_are_never_counted_together(experiment: Experiment, tmp_path: Path) -> None:
    runs = [RunId("A", seed) for seed in (42, 123, 456)]
    for run, evaluation in zip(runs, ("one", "one", "two"), strict=True):
        write_capsule(tmp_path, experiment, run, ROWS, evaluation=evaluation)
    assert [(item.item_id, item.failed, item.runs) for item in failed_items(tmp_path, runs)] == [
        ("r1", 2, 2),
        ("r1", 1, 1),
    ]


def test_items_that_their_metrics_do_not_bear_out_are_not_shown(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RUN, ROWS, top1=1.0)
    assert failed_items(tmp_path, [RUN]) == ()
