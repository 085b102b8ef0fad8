"""Results of capsules: right numbers, verdicts only over complete conditions, and a reason for whatever is missing."""

from __future__ import annotations

import statistics
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from console.results.aggregate import settings_difference
from console.results.records import ChosenHead
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.items import ItemRow
from engine.contract.settings import RunId, resolve
from engine.contract.state import RunState
from engine.contract.toml_file import find_config
from tests.console.results.capsules import results_in, row, write_capsule
from tests.console.results.reports import as_printed, as_text

GOOD = [row(f"r{n}", 1, margin=0.1 * n) for n in range(4)] + [row(f"c{n}", 1, kind="coherence") for n in range(5)]


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return read_experiment(find_config("scaling.toml"))


def with_top1(right: int) -> list[ItemRow]:
    """Ten retrieval items of which ``right`` are right, the rest at rank 2, and a right coherence item."""
    return [row(f"r{n}", 1 if n < right else 2) for n in range(10)] + [row("c0", 1, kind="coherence")]


def fill(folder: Path, experiment: Experiment, condition: str, *tops: int) -> None:
    for seed, right in zip((42, 123, 456), tops, strict=False):
        write_capsule(folder, experiment, RunId(condition, seed), with_top1(right))


def test_no_local_copy_is_incomplete(experiment: Experiment, tmp_path: Path) -> None:
    results = results_in(tmp_path, experiment)
    assert results.verdict == "incomplete" and len(results.runs) == 9 and results.comparable
    assert {run.state for run in results.runs} == {"none"}
    assert as_printed(results)["runs"][0]["top1"] is None


def test_mean_and_deviation_are_over_seeds(experiment: Experiment, tmp_path: Path) -> None:
    fill(tmp_path, experiment, "A", 4, 5, 9)
    (a, *_) = results_in(tmp_path, experiment).conditions
    assert a.top1 is not None and a.top1.mean == pytest.approx(0.6) and a.evaluated == 3
    assert a.top1.sd == pytest.approx(statistics.stdev([0.4, 0.5, 0.9]))
    assert a.verdict == "pass" and a.failed_seeds == ()


def test_the_step_at_which_the_head_was_chosen_comes_from_the_metrics(experiment: Experiment, tmp_path: Path) -> None:
    fill(tmp_path, experiment, "A", 4)
    run = results_in(tmp_path, experiment).runs[0]
    assert run.chosen == ChosenHead(30, 1.0, 0.6, "top-1") and run.tier3_exposures == 7.25


def test_a_failed_gate_fails_its_condition(experiment: Experiment, tmp_path: Path) -> None:
    fill(tmp_path, experiment, "C", 1, 2, 5)
    c = results_in(tmp_path, experiment).conditions[2]
    assert c.verdict == "fail" and c.failed_seeds == (42, 123)
    assert "FAIL 26.7" in as_text(results_in(tmp_path, experiment))


def test_a_condition_passes_only_with_every_seed_in(experiment: Experiment, tmp_path: Path) -> None:
    fill(tmp_path, experiment, "A", 9, 9)
    a = results_in(tmp_path, experiment).conditions[0]
    assert a.verdict == "incomplete" and a.evaluated == 2


def test_scores_under_different_evaluations_are_never_averaged(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RunId("A", 42), GOOD, evaluation="one")
    write_capsule(tmp_path, experiment, RunId("A", 123), GOOD, evaluation="two")
    results = results_in(tmp_path, experiment)
    assert not results.comparable and results.conditions[0].top1 is None and results.verdict == "incomplete"
    assert "must not be compared" in " ".join(as_text(results).split())


def test_metrics_that_contradict_their_items_are_not_counted(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RunId("A", 42), GOOD, top1=0.5)
    run = results_in(tmp_path, experiment).runs[0]
    assert run.head is None and run.problem == "metrics.json says top-1 0.5000, its items say 1.0000"


@pytest.mark.parametrize("damage", ["items.parquet", "metrics.json"])
def test_a_damaged_file_is_a_problem_not_a_traceback(experiment: Experiment, tmp_path: Path, damage: str) -> None:
    write_capsule(tmp_path, experiment, RunId("A", 42), GOOD)
    (tmp_path / "A_seed42" / damage).write_bytes(b"\x00 no \x1b[31m")
    run = results_in(tmp_path, experiment).runs[0]
    assert run.head is None and run.problem and "\x1b" not in run.problem


def test_items_without_a_column_are_a_problem(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RunId("A", 42), GOOD)
    path = tmp_path / "A_seed42" / "items.parquet"
    pl.read_parquet(path).drop("margin").write_parquet(path)
    assert results_in(tmp_path, experiment).runs[0].problem == "items.parquet lacks the columns margin"


def test_another_launch_on_the_host_hides_the_older_results(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RunId("A", 42), GOOD)
    newer = {RunId("A", 42): RunState("running", "1" * 32)}
    run = results_in(tmp_path, experiment, newer).runs[0]
    assert (run.state, run.head) == ("running", None)
    same = {RunId("A", 42): RunState("finished", "0" * 32)}
    assert results_in(tmp_path, experiment, same).runs[0].head is not None


def test_a_run_of_other_settings_is_shown_and_not_counted(experiment: Experiment, tmp_path: Path) -> None:
    longer = replace(experiment, training=replace(experiment.training, epochs=10))
    write_capsule(tmp_path, longer, RunId("A", 42), with_top1(1))
    for seed in (123, 456):
        write_capsule(tmp_path, experiment, RunId("A", seed), with_top1(9))
    results = results_in(tmp_path, experiment)
    other, *same = results.runs[:3]
    assert other.head is not None and other.other_settings == "training.epochs 10, now 2" and not other.is_counted
    assert all(run.is_counted for run in same)
    a = results.conditions[0]
    assert a.top1 is not None and a.top1.mean == pytest.approx(0.9)
    assert (a.evaluated, a.total, a.verdict, a.failed_seeds) == (2, 3, "incomplete", ())
    text = as_text(results)
    assert "Left out of the means: 1 run with settings other than the experiment's" in text
    assert "A/42   finished  10.0" in text and "! other settings, left out: training.epochs 10, now 2" in text
    assert as_printed(results)["runs"][0]["other_settings"] == "training.epochs 10, now 2"


def test_gates_are_no_settings_of_a_run_and_judge_it_as_they_are_now(experiment: Experiment, tmp_path: Path) -> None:
    fill(tmp_path, experiment, "A", 4, 4, 4)
    stricter = replace(experiment, gates=replace(experiment.gates, retrieval_top1=0.5))
    a = results_in(tmp_path, stricter).conditions[0]
    assert (a.evaluated, a.verdict) == (3, "fail") and results_in(tmp_path, experiment).conditions[0].verdict == "pass"


def test_many_other_settings_are_counted_and_lists_are_only_named(experiment: Experiment) -> None:
    run = RunId("A", 42)
    now = resolve(experiment, "full", run)
    assert settings_difference(now, now) == ""
    before = replace(
        now,
        encoder=replace(now.encoder, layers=(1, 2)),
        edition=None,
        training=replace(now.training, epochs=7, weight_decay=0.5, batch_size=2),
    )
    changes = settings_difference(before, now)
    assert changes.startswith("edition none, now v2.2; other encoder.layers; training.") and changes.endswith(
        "; 2 more"
    )


def test_a_damaged_capsule_is_not_counted_and_says_why(experiment: Experiment, tmp_path: Path) -> None:
    fill(tmp_path, experiment, "A", 9, 9, 9)
    results = results_in(
        tmp_path, experiment, damaged={RunId("A", 42): "items.parquet: \x1b[31mits SHA-256 is another"}
    )
    assert results.runs[0].head is None and results.runs[0].problem == "damaged: items.parquet: its SHA-256 is another"
    assert results.conditions[0].verdict == "incomplete"


def test_ranks_margins_and_tiers_come_from_the_items(experiment: Experiment, tmp_path: Path) -> None:
    rows = [
        row("r0", 1, margin=0.5),
        row("r1", 3, margin=-0.1, pool=2),
        row("r2", 4, margin=-0.4, tier="tier2_robust", pool=5),
        row("c0", 1, kind="coherence"),
        row("c1", 2, kind="coherence", pool=2),
    ]
    write_capsule(tmp_path, experiment, RunId("A", 42), rows)
    run = results_in(tmp_path, experiment).runs[0]
    assert run.head and run.mean_pool
    assert (run.head.top1, run.head.top3, run.head.coherence) == pytest.approx((1 / 3, 2 / 3, 1 / 2))
    assert run.head.margins.mean == pytest.approx(0.0) and run.head.margins.p5 == pytest.approx(-0.37)
    assert (run.head.tiers["tier1_easy"].items, run.head.tiers["tier1_easy"].top1) == (2, 0.5)
    assert (run.mean_pool.top1, run.mean_pool.top3, run.mean_pool.coherence) == pytest.approx((1 / 3, 2 / 3, 1 / 2))


def test_a_condition_that_overrides_settings_says_which(experiment: Experiment, tmp_path: Path) -> None:
    larger = replace(experiment.conditions["B"], model={"embedding_size": 512})
    results = results_in(tmp_path, replace(experiment, conditions={**experiment.conditions, "B": larger}))
    lines = as_text(results).splitlines()
    title = next(at for at, line in enumerate(lines) if line.startswith("B  data scaling"))
    assert lines[title + 1].strip() == "Differs from the base: model.embedding_size 512 (base 256)"
    (a, b, _) = as_printed(results)["conditions"]
    assert b["differences"] == [{"setting": "model.embedding_size", "value": 512, "base": 256}]
    assert a["differences"] == []
