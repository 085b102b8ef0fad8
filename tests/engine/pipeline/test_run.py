"""A whole run over the real WordNet and the real encoder, tiny."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl
import pytest

from engine.contract.bad_input import BadInput
from engine.contract.events import Body, Checkpoint, End, Evaluation, Measurement, Progress, Stage
from engine.contract.run_folder import RunFolder
from engine.contract.settings import decode_spec
from engine.encoder.encoder import Encoder
from engine.pipeline.evaluate import evaluate_run
from engine.pipeline.prepare import prepare
from engine.pipeline.run import run_pipeline
from tests.engine.evaluation.plain_metrics import plain_metrics
from tests.engine.pipeline.finished_run import FinishedRun, without_seconds
from tests.engine.tiny_experiment import tiny_settings


def test_stages_come_in_order_and_the_end_names_the_gates_that_failed(finished: FinishedRun) -> None:
    stages = [body.name for body in finished.events if isinstance(body, Stage)]
    assert stages == ["data", "encode", "warm_start", "train", "evaluate"]
    end = finished.events[-1]
    assert isinstance(end, End)
    assert end.failed_gates == tuple(verdict.gate for verdict in finished.metrics.gates if not verdict.passed)
    assert set(finished.metrics.seconds) == set(stages)


def test_a_run_encodes_the_senses_as_it_reads_them_and_the_build_all_else(
    finished: FinishedRun, workspace: Path
) -> None:
    stages = [isinstance(body, Stage) and body.name for body in finished.events]
    encoded = finished.events[stages.index("encode") + 1 : stages.index("warm_start")]
    preparing = prepare(finished.settings, workspace, "cpu")
    with pytest.raises(StopIteration) as end:
        while True:
            next(preparing)
    senses = {one.text for one in end.value.value.states.inputs if one.is_gloss}
    assert encoded[-1] == Progress(len(senses), len(senses), "texts")


def test_metrics_follow_from_the_items(finished: FinishedRun) -> None:
    items = pl.read_parquet(finished.folder.items)
    retrieval, coherence = (items.filter(pl.col("kind") == kind) for kind in ("retrieval", "coherence"))
    metrics = finished.metrics
    assert (retrieval.height, coherence.height) == (metrics.retrieval_items, metrics.coherence_steps)
    assert metrics.head.retrieval_top1 == pytest.approx(retrieval["correct_at_1"].mean())
    assert metrics.head.coherence_accuracy == pytest.approx(coherence["correct_at_1"].mean())
    assert metrics.mean_pool.retrieval_top1 == pytest.approx((retrieval["mean_pool_rank"] == 1).mean())
    assert metrics.killers == items.filter(pl.col("reason") != "").height
    # the killer set is of the reference encoder, whose last layer is the last baseline
    ranks, margins = (retrieval[f"baseline_{name}"].list.last() for name in ("ranks", "margins"))
    frozen_killers = (ranks > 1) & ((margins <= -0.15) | (ranks >= 4))
    assert metrics.killer_set == frozen_killers.sum() > 0
    assert metrics.killer_top1 == pytest.approx(retrieval.filter(frozen_killers)["correct_at_1"].mean())
    assert sum(tier.items for tier in metrics.head.tiers.values()) == metrics.retrieval_items
    last = [body for body in finished.events if isinstance(body, Measurement)][-1]
    assert (metrics.best_step, metrics.score_name) == (last.best_step, last.score_name)
    assert (metrics.best_epoch, metrics.epochs, metrics.steps) == (last.best_step, 2, last.step)
    assert metrics.tier3_exposures == last.tier3_exposures
    evaluation = next(body for body in finished.events if isinstance(body, Evaluation))
    assert evaluation.top1 == metrics.head.retrieval_top1


def test_every_score_is_recomputed_from_the_items_by_plain_python_to_the_last_digit(finished: FinishedRun) -> None:
    rows = pl.read_parquet(finished.folder.items).rows(named=True)
    plain = plain_metrics(rows, finished.metrics)
    stated = json.loads(finished.folder.metrics.read_bytes())
    for name in ("head", "mean_pool", "baselines", "gains"):
        assert plain[name] == stated[name]
    for name in ("coherence_ceiling", "judged"):
        assert plain[name] == stated["informativeness"][name]
    layers = [f"mean_pool layer {layer}" for layer in range(7)]
    assert list(finished.metrics.baselines) == ["random", "word_overlap", *layers]
    reads_last_layer = finished.metrics.mean_pool.retrieval_top1 == plain["baselines"][layers[6]]["retrieval_top1"]
    assert reads_last_layer or finished.settings.encoder.layers != (6,)


def test_attention_is_kept_for_every_measurement(finished: FinishedRun) -> None:
    attention = pl.read_parquet(finished.folder.attention)
    measured = [(body.step, body.epoch) for body in finished.events if isinstance(body, Measurement)]
    assert attention.select("step", "epoch").unique(maintain_order=True).rows() == measured == [(0, 0), (1, 1), (2, 2)]
    assert attention["entropy"].is_between(0, 1.0001).all()
    assert attention["lemma_mass"].is_between(0, 1).all()
    assert attention["cue_mass"].is_between(0, 1, closed="none").all()
    assert (attention["lemma_mass"] + attention["cue_mass"] <= 1).all()


def test_the_spec_holds_what_determines_the_run(finished: FinishedRun) -> None:
    spec = decode_spec(finished.folder.spec.read_bytes())
    assert spec.settings == finished.settings
    assert spec.settings_fingerprint == finished.settings.fingerprint()
    assert spec.encoder_fingerprint == Encoder(finished.settings.encoder, "cpu").fingerprint
    assert (spec.data_fingerprint, spec.eval_fingerprint) == (
        finished.metrics.data_fingerprint,
        finished.metrics.eval_fingerprint,
    )


def test_the_same_run_in_another_workspace_gives_the_same_metrics(
    finished: FinishedRun, tmp_path: Path, workspace: Path
) -> None:
    shutil.copytree(workspace / "cache", tmp_path / "workspace" / "cache")
    again = FinishedRun(finished.settings, tmp_path / "run", tmp_path / "workspace")
    assert without_seconds(again.metrics) == without_seconds(finished.metrics)
    for name in ("items", "attention", "checkpoint"):
        assert getattr(again.folder, name).read_bytes() == getattr(finished.folder, name).read_bytes()


def test_an_interrupted_run_resumes_to_the_same_result(finished: FinishedRun, tmp_path: Path, workspace: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    events: Iterator[Body] = run_pipeline(finished.settings, folder, workspace, "cpu")
    for body in events:
        if isinstance(body, Checkpoint) and body.step == 1:
            break
    del events
    assert not folder.metrics.exists()
    resumed = FinishedRun(finished.settings, folder.root, workspace)
    assert "warm_start" not in [body.name for body in resumed.events if isinstance(body, Stage)]
    assert without_seconds(resumed.metrics) == without_seconds(finished.metrics)
    assert resumed.folder.attention.read_bytes() == finished.folder.attention.read_bytes()


def test_conditions_share_the_evaluation_and_nothing_of_their_training_data(
    finished: FinishedRun, experiment: Path, tmp_path: Path, workspace: Path
) -> None:
    other = FinishedRun(tiny_settings(experiment, "B"), tmp_path / "run", workspace)
    assert other.metrics.eval_fingerprint == finished.metrics.eval_fingerprint
    assert other.metrics.data_fingerprint != finished.metrics.data_fingerprint
    assert other.metrics.mean_pool == finished.metrics.mean_pool


RESIDUAL = """
[conditions.R]
title = "residual head with a gloss loss"
edition = "v2.2"
curriculum = "uniform"
model.architecture = "residual"
model.sense_text = "lemma (pos): gloss"
model.hidden_size = 16
model.context_weights = [1.0, 1.0, 0.5, 0.5]
training.gloss_weight = 0.5
training.target_penalty = 0.1
"""


def test_a_residual_head_is_trained_with_a_gloss_loss_and_evaluated_from_its_checkpoint(
    experiment: Path, tmp_path: Path, workspace: Path
) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(experiment.read_text() + RESIDUAL)
    done = FinishedRun(tiny_settings(path, "R"), tmp_path / "run", workspace)
    assert "warm_start" not in [body.name for body in done.events if isinstance(body, Stage)]
    measured = [body for body in done.events if isinstance(body, Measurement)]
    assert measured[-1].loss < measured[0].loss
    output = RunFolder(tmp_path / "again")
    for _ in evaluate_run(done.folder, output, workspace, "cpu"):
        pass
    assert output.items.read_bytes() == done.folder.items.read_bytes()


def test_a_folder_of_another_run_is_refused_before_anything_is_encoded(
    finished: FinishedRun, experiment: Path, workspace: Path
) -> None:
    before = finished.folder.metrics.read_bytes()
    stages: list[str] = []
    with pytest.raises(BadInput, match=r"another run|other settings"):
        for body in run_pipeline(tiny_settings(experiment, seed=123), finished.folder, workspace, "cpu"):
            stages += [body.name] if isinstance(body, Stage) else []
    assert finished.folder.metrics.read_bytes() == before
    assert stages == ["data"]


def test_a_run_begun_with_another_version_is_not_resumed(finished: FinishedRun, workspace: Path) -> None:
    spec = decode_spec(finished.folder.spec.read_bytes())
    older = msgspec.structs.replace(spec, versions={**spec.versions, "torch": "1.0"})
    kept = finished.folder.spec.read_bytes()
    finished.folder.spec.write_bytes(msgspec.json.encode(older))
    try:
        with pytest.raises(BadInput, match=r"begun with torch 1\.0 \(now "):
            list(run_pipeline(finished.settings, finished.folder, workspace, "cpu"))
    finally:
        finished.folder.spec.write_bytes(kept)
