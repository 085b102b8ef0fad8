"""Results out of capsules: right numbers, honest verdicts, and a word about everything that is missing."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from console.results.collect import collect
from console.results.failures import failed_items
from console.results.report import as_json, as_text
from console.results.settings_difference import difference
from engine.contract.experiment import Experiment, read_experiment
from engine.contract.items import ItemRow
from engine.contract.settings import RunId, resolve
from engine.contract.state import RunState
from engine.contract.toml_file import find_config
from tests.console.results.rows import row, write_capsule

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


def test_nothing_at_home_is_incomplete(experiment: Experiment, tmp_path: Path) -> None:
    results = collect(experiment, "full", tmp_path)
    assert results.verdict == "incomplete" and len(results.runs) == 9 and results.comparable
    assert {run.state for run in results.runs} == {"none"}
    assert json.loads(as_json(results))["runs"][0]["top1"] is None


def test_mean_and_deviation_are_over_seeds(experiment: Experiment, tmp_path: Path) -> None:
    fill(tmp_path, experiment, "A", 4, 5, 9)
    (a, *_) = collect(experiment, "full", tmp_path).conditions
    assert a.top1 is not None and a.top1.mean == pytest.approx(0.6) and a.evaluated == 3
    assert a.top1.sd == pytest.approx(statistics.stdev([0.4, 0.5, 0.9]))
    assert a.verdict == "pass" and a.contingency == () and a.failed_seeds == ()


def test_a_failed_gate_brings_the_contingency_in_order(experiment: Experiment, tmp_path: Path) -> None:
    fill(tmp_path, experiment, "C", 1, 2, 5)
    c = collect(experiment, "full", tmp_path).conditions[2]
    assert c.verdict == "fail" and c.failed_seeds == (42, 123)
    assert [step.title for step in c.contingency] == [step.title for step in experiment.contingency]
    assert "FAIL  retrieval_top1 26.7% (at least 30%)" in as_text(collect(experiment, "full", tmp_path))


def test_a_condition_passes_only_with_every_seed_in(experiment: Experiment, tmp_path: Path) -> None:
    fill(tmp_path, experiment, "A", 9, 9)
    a = collect(experiment, "full", tmp_path).conditions[0]
    assert a.verdict == "incomplete" and a.evaluated == 2


def test_scores_under_different_evaluations_are_never_averaged(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RunId("A", 42), GOOD, evaluation="one")
    write_capsule(tmp_path, experiment, RunId("A", 123), GOOD, evaluation="two")
    results = collect(experiment, "full", tmp_path)
    assert not results.comparable and results.conditions[0].top1 is None and results.verdict == "incomplete"
    assert "not compared" in as_text(results)


def test_metrics_that_their_items_do_not_bear_out_do_not_count(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RunId("A", 42), GOOD, top1=0.5)
    run = collect(experiment, "full", tmp_path).runs[0]
    assert run.head is None and run.problem == "metrics.json says top-1 0.5000, its items say 1.0000"


@pytest.mark.parametrize("damage", ["items.parquet", "metrics.json"])
def test_a_damaged_file_is_a_problem_not_a_traceback(experiment: Experiment, tmp_path: Path, damage: str) -> None:
    write_capsule(tmp_path, experiment, RunId("A", 42), GOOD)
    (tmp_path / "A_seed42" / damage).write_bytes(b"\x00 no \x1b[31m")
    run = collect(experiment, "full", tmp_path).runs[0]
    assert run.head is None and run.problem and "\x1b" not in run.problem


def test_items_without_a_column_are_a_problem(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RunId("A", 42), GOOD)
    path = tmp_path / "A_seed42" / "items.parquet"
    pl.read_parquet(path).drop("margin").write_parquet(path)
    assert collect(experiment, "full", tmp_path).runs[0].problem == "items.parquet lacks the columns margin"


def test_another_launch_on_the_host_hides_the_older_results(experiment: Experiment, tmp_path: Path) -> None:
    write_capsule(tmp_path, experiment, RunId("A", 42), GOOD)
    newer = {RunId("A", 42): RunState("running", "1" * 32)}
    run = collect(experiment, "full", tmp_path, newer).runs[0]
    assert (run.state, run.head) == ("running", None)
    same = {RunId("A", 42): RunState("finished", "0" * 32)}
    assert collect(experiment, "full", tmp_path, same).runs[0].head is not None


def test_a_run_of_other_settings_stands_beside_the_others_and_counts_for_nothing(
    experiment: Experiment, tmp_path: Path
) -> None:
    longer = replace(experiment, training=replace(experiment.training, epochs=10))
    write_capsule(tmp_path, longer, RunId("A", 42), with_top1(1))
    for seed in (123, 456):
        write_capsule(tmp_path, experiment, RunId("A", seed), with_top1(9))
    results = collect(experiment, "full", tmp_path)
    other, *same = results.runs[:3]
    assert other.head is not None and other.other_settings == "training.epochs 10, now 5" and not other.counts
    assert all(run.counts for run in same)
    a = results.conditions[0]
    assert a.top1 is not None and a.top1.mean == pytest.approx(0.9)
    assert (a.evaluated, a.total, a.verdict, a.failed_seeds) == (2, 3, "incomplete", ())
    text = as_text(results)
    assert "1 run at home of other settings than the experiment has now: left out" in text
    assert "A/42  finished  top-1 10.0%" in text and "(other settings: training.epochs 10, now 5)" in text
    assert json.loads(as_json(results))["runs"][0]["other_settings"] == "training.epochs 10, now 5"


def test_gates_are_no_settings_of_a_run_and_are_judged_as_they_are_now(experiment: Experiment, tmp_path: Path) -> None:
    fill(tmp_path, experiment, "A", 4, 4, 4)
    stricter = replace(experiment, gates=replace(experiment.gates, retrieval_top1=0.5))
    a = collect(stricter, "full", tmp_path).conditions[0]
    assert (a.evaluated, a.verdict) == (3, "fail") and collect(experiment, "full", tmp_path).conditions[
        0
    ].verdict == "pass"


def test_many_other_settings_are_counted_and_lists_are_only_named(experiment: Experiment) -> None:
    run = RunId("A", 42)
    now = resolve(experiment, "full", run)
    assert difference(now, now) == ""
    then = replace(
        now,
        encoder=replace(now.encoder, layers=(1, 2)),
        edition=None,
        training=replace(now.training, epochs=7, dropout=0.5, batch_size=2),
    )
    words = difference(then, now)
    assert words.startswith("edition none, now v2.2; other encoder.layers; training.") and words.endswith("; 2 more")


def test_a_damaged_capsule_counts_for_nothing_and_says_why(experiment: Experiment, tmp_path: Path) -> None:
    fill(tmp_path, experiment, "A", 9, 9, 9)
    results = collect(
        experiment, "full", tmp_path, damaged={RunId("A", 42): "items.parquet: \x1b[31mits SHA-256 is another"}
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
    run = collect(experiment, "full", tmp_path).runs[0]
    assert run.head and run.mean_pool
    assert (run.head.top1, run.head.top3, run.head.coherence) == pytest.approx((1 / 3, 2 / 3, 1 / 2))
    assert run.head.margins.mean == pytest.approx(0.0) and run.head.margins.p5 == pytest.approx(-0.37)
    assert (run.head.tiers["tier1_easy"].items, run.head.tiers["tier1_easy"].top1) == (2, 0.5)
    assert (run.mean_pool.top1, run.mean_pool.top3, run.mean_pool.coherence) == pytest.approx((1 / 3, 2 / 3, 1 / 2))


def test_failed_items_are_counted_over_runs_worst_first(experiment: Experiment, tmp_path: Path) -> None:
    coherent = row("c0", 1, kind="coherence")
    write_capsule(
        tmp_path, experiment, RunId("A", 42), [row("r0", 2, margin=-0.1), row("r1", 2, margin=-0.9), coherent]
    )
    write_capsule(tmp_path, experiment, RunId("B", 42), [row("r0", 3, margin=-0.3), row("r1", 1, margin=0.5), coherent])
    found = failed_items(tmp_path, [RunId("A", 42), RunId("B", 42), RunId("C", 42)])
    assert [(item.item_id, item.failed, item.runs) for item in found] == [("r0", 2, 2), ("r1", 1, 2)]
    assert found[0].margin == pytest.approx(-0.2) and found[0].chosen == "wrong"
    assert failed_items(tmp_path, []) == ()
