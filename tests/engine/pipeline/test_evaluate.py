"""Evaluation and training alone: the same results as in one run."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest

from engine.contract.bad_input import BadInput
from engine.contract.events import Checkpoint, End, Evaluation, Stage
from engine.contract.run_folder import RunFolder
from engine.contract.settings import decode_spec
from engine.evaluation.report import MEAN_POOL
from engine.pipeline.confirm import Decision
from engine.pipeline.evaluate import evaluate_mean_pool, evaluate_run
from engine.pipeline.run import run_pipeline
from tests.engine.pipeline.finished_run import FinishedRun, read_metrics, without_seconds


def test_a_checkpoint_evaluated_alone_gives_the_items_metrics_and_attention_of_its_run(
    finished: FinishedRun, workspace: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in finished.folder.root.iterdir()}
    output = RunFolder(tmp_path / "output")
    events = list(evaluate_run(finished.folder, output, workspace, "cpu"))
    assert [body.name for body in events if isinstance(body, Stage)] == ["data", "encode", "evaluate"]
    assert events[-2:] == finished.events[-2:]
    assert output.items.read_bytes() == finished.folder.items.read_bytes()
    metrics = read_metrics(output)
    assert without_seconds(metrics) == without_seconds(finished.metrics)
    assert set(metrics.seconds) == {"data", "encode", "evaluate"}
    of_run = pl.read_parquet(finished.folder.attention)
    assert pl.read_parquet(output.attention).equals(of_run.filter(pl.col("step") == finished.metrics.best_step))
    assert {path.name for path in output.root.iterdir()} == {"items.parquet", "attention.parquet", "metrics.json"}
    assert before == {path.name: path.read_bytes() for path in finished.folder.root.iterdir()}


def test_training_alone_and_then_evaluating_is_a_whole_run(
    finished: FinishedRun, workspace: Path, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    events = list(run_pipeline(finished.settings, folder, workspace, "cpu", evaluation=False))
    assert isinstance(events[-1], Checkpoint)
    assert not folder.metrics.exists()
    assert not folder.items.exists()
    list(evaluate_run(folder, folder, workspace, "cpu"))
    for name in ("checkpoint", "attention", "items"):
        assert getattr(folder, name).read_bytes() == getattr(finished.folder, name).read_bytes()
    assert without_seconds(read_metrics(folder)) == without_seconds(finished.metrics)


def test_mean_pooling_evaluated_alone_has_the_scores_it_has_in_a_run(
    finished: FinishedRun, workspace: Path, tmp_path: Path
) -> None:
    output = RunFolder(tmp_path / "output")
    events = list(evaluate_mean_pool(finished.settings, output, workspace, "cpu"))
    assert isinstance(events[-2], Evaluation)
    assert isinstance(events[-1], End)
    metrics = read_metrics(output)
    assert metrics.head == metrics.mean_pool == finished.metrics.mean_pool
    assert (metrics.condition, metrics.seed, metrics.epochs, metrics.steps) == (MEAN_POOL, 0, 0, 0)
    items, of_run = pl.read_parquet(output.items), pl.read_parquet(finished.folder.items)
    assert items["rank"].equals(items["mean_pool_rank"])
    assert items["mean_pool_margin"].equals(of_run["mean_pool_margin"])
    assert not output.attention.exists()


def test_a_run_that_has_not_ended_training_or_was_made_of_other_data_is_refused(
    finished: FinishedRun, workspace: Path, tmp_path: Path
) -> None:
    output = RunFolder(tmp_path / "output")
    stopped = RunFolder(tmp_path / "stopped")
    with pytest.raises(BadInput, match="not a run folder"):
        list(evaluate_run(stopped, output, workspace, "cpu"))
    for body in run_pipeline(finished.settings, stopped, workspace, "cpu"):
        if isinstance(body, Checkpoint) and body.step == 1:
            break
    with pytest.raises(BadInput, match="training stopped after step 1 of 2"):
        list(evaluate_run(stopped, output, workspace, "cpu"))
    stopped.checkpoint.unlink()
    with pytest.raises(BadInput, match="has not been trained"):
        list(evaluate_run(stopped, output, workspace, "cpu"))

    other = RunFolder(tmp_path / "other")
    shutil.copytree(finished.folder.root, other.root)
    spec = decode_spec(other.spec.read_bytes())
    other.spec.write_bytes(msgspec.json.encode(msgspec.structs.replace(spec, eval_fingerprint="0" * 64)))
    stages: list[str] = []
    with pytest.raises(BadInput, match="other data"):
        for body in evaluate_run(other, output, workspace, "cpu"):
            stages += [body.name] if isinstance(body, Stage) else []
    assert stages == ["data"], "refused before anything is encoded"
    assert not output.root.exists()


def test_the_confirm_split_is_scored_for_a_recorded_decision_only(
    finished: FinishedRun, workspace: Path, tmp_path: Path
) -> None:
    log = workspace / "data" / "confirm.jsonl"
    assert not log.exists(), "a run never scores it"
    output, other = RunFolder(tmp_path / "output"), RunFolder(tmp_path / "other")
    events = list(evaluate_run(finished.folder, output, workspace, "cpu", confirm="ship A?"))
    assert [body.name for body in events if isinstance(body, Stage)] == ["data", "encode", "evaluate", "evaluate"]
    decision = msgspec.json.decode((output.root / "confirm.json").read_bytes(), type=Decision)
    assert (decision.reason, decision.subject, decision.previous) == ("ship A?", "A/42", 0)
    assert decision.who and decision.at.endswith("+00:00")
    metrics = read_metrics(output)
    assert metrics.eval_fingerprint == decision.confirm_fingerprint != finished.metrics.eval_fingerprint
    assert metrics.data_fingerprint == finished.metrics.data_fingerprint
    lemmas = set(pl.read_parquet(output.items)["lemma"])
    assert lemmas and lemmas.isdisjoint(pl.read_parquet(finished.folder.items)["lemma"])

    list(evaluate_mean_pool(finished.settings, other, workspace, "cpu", confirm="and pooling"))
    again = msgspec.json.decode((other.root / "confirm.json").read_bytes(), type=Decision)
    assert (again.subject, again.previous) == (MEAN_POOL, 1)
    assert read_metrics(other).head == metrics.mean_pool
    recorded = [msgspec.json.decode(line, type=Decision) for line in log.read_bytes().splitlines()]
    assert recorded == [decision, again]
    log.unlink()


def test_a_refused_evaluation_records_no_decision(finished: FinishedRun, workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a run folder"):
        list(evaluate_run(RunFolder(tmp_path / "none"), RunFolder(tmp_path / "out"), workspace, "cpu", confirm="why"))
    assert not (workspace / "data" / "confirm.jsonl").exists() and list(tmp_path.iterdir()) == []
