"""Failed items are counted over runs, and only those of loadable capsules of one evaluation."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from engine.contract.experiment import Experiment, read_experiment
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.results.capsules import failed_items_in, row, write_capsule

RUN = RunId("A", 42)
ROWS = [row("r0", 1, margin=0.2), row("r1", 2, margin=-0.1, tier="tier2_robust"), row("c0", 1, kind="coherence")]


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return read_experiment(find_config("scaling.toml"))


def test_failed_items_are_counted_over_runs_worst_first(experiment: Experiment, tmp_path: Path) -> None:
    coherent = row("c0", 1, kind="coherence")
    write_capsule(
        tmp_path, experiment, RunId("A", 42), [row("r0", 2, margin=-0.1), row("r1", 2, margin=-0.9), coherent]
    )
    write_capsule(tmp_path, experiment, RunId("B", 42), [row("r0", 3, margin=-0.3), row("r1", 1, margin=0.5), coherent])
    found = failed_items_in(tmp_path, [RunId("A", 42), RunId("B", 42), RunId("C", 42)])
    assert [(item.item_id, item.failed, item.runs) for item in found] == [("r0", 2, 2), ("r1", 1, 2)]
    assert found[0].margin == pytest.approx(-0.2) and found[0].chosen == "wrong"
    assert failed_items_in(tmp_path, []) == ()


def test_items_of_different_evaluations_are_never_counted_together(experiment: Experiment, tmp_path: Path) -> None:
    runs = [RunId("A", seed) for seed in (42, 123, 456)]
    for run, evaluation in zip(runs, ("one", "one", "two"), strict=True):
        write_capsule(tmp_path, experiment, run, ROWS, evaluation=evaluation)
    assert [(item.item_id, item.failed, item.runs) for item in failed_items_in(tmp_path, runs)] == [
        ("r1", 2, 2),
        ("r1", 1, 1),
    ]


def test_items_that_contradict_their_metrics_are_not_shown(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RUN, ROWS, top1=1.0)
    assert failed_items_in(tmp_path, [RUN]) == ()


def test_an_additional_column_does_no_harm(experiment: Experiment, tmp_path: Path) -> None:
    other = RunId("B", 42)
    for run in (RUN, other):
        write_capsule(tmp_path, experiment, run, ROWS)
    path = RunFolder(tmp_path / str(RUN)).items
    pl.read_parquet(path).with_columns(extra=pl.lit(1)).write_parquet(path)
    (failed,) = failed_items_in(tmp_path, [RUN, other])
    assert (failed.item_id, failed.failed, failed.runs) == ("r1", 2, 2)
