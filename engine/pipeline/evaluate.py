"""Evaluation step: scores a trained head, or frozen mean pooling alone, and writes items, attention and metrics."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import msgspec

from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.events import Body, End, Evaluation, Stage
from engine.contract.items import AttentionRow, ItemRow
from engine.contract.metrics import GATE_NAMES, Metrics, judge
from engine.contract.run_folder import RunFolder, size_and_sha256
from engine.contract.settings import Settings, read_spec
from engine.data.records import Dataset
from engine.encoder.encoder import Encoder
from engine.evaluation.attention import attention_rows, probes_of, query_attention
from engine.evaluation.evaluate import EvaluationResult, evaluate, killer_top1
from engine.evaluation.frozen_layers import layer_rankings
from engine.evaluation.item_files import write_rows
from engine.evaluation.ranking import TextVectors, rank_all, ranking_inputs
from engine.evaluation.report import MEAN_POOL
from engine.model.embedding import embed_rows, mean_pool_of
from engine.pipeline.confirm import record_decision
from engine.pipeline.event_log import StageTimer
from engine.pipeline.prepare import Prepared, prepare
from engine.pipeline.train import TrainedHead, load_head
from engine.training.curriculum import tier3_exposures


def evaluate_run(
    run: RunFolder,
    output: RunFolder,
    workspace: Path,
    device: str,
    files: Mapping[str, Path] | None = None,
    confirm: str | None = None,
) -> Iterator[Body]:
    """Evaluate the checkpoint of a trained run; the results go to ``output``, which may be the run's own folder.

    Args:
        workspace, device, files: as for ``run_pipeline``.
        confirm: score the sealed confirm split in the place of the evaluation; why, which is recorded before.

    Raises:
        BadInput: ``run`` holds no trained run, or its data or encoder are not available any more.
    """
    timer = StageTimer()

    def steps() -> Generator[Body, None, None]:
        spec = read_spec(run.spec)

        def check(dataset: Dataset, encoder: Encoder) -> None:
            # on other items, or on states the head was not trained on, the scores would not be that run's
            available = (dataset.data_fingerprint, dataset.eval_fingerprint, encoder.fingerprint)
            if available != (spec.data_fingerprint, spec.eval_fingerprint, spec.encoder_fingerprint):
                raise BadInput("this run was made with other data or another encoder than are available", file=run.spec)

        prepared = yield from prepare(spec.settings, workspace, device, files, check, confirm=confirm is not None)
        trained = load_head(spec, prepared, run)
        if confirm is not None:
            yield _decide(confirm, spec.settings.run.label, prepared, output, workspace)
        yield from evaluate_head(trained, spec.settings, prepared, output, workspace, timer)

    return timer.watch(steps())


def evaluate_mean_pool(
    settings: Settings,
    output: RunFolder,
    workspace: Path,
    device: str,
    files: Mapping[str, Path] | None = None,
    confirm: str | None = None,
) -> Iterator[Body]:
    """Evaluate frozen mean pooling alone, without a head; its scores are in the metrics for both.

    The arguments are as for ``evaluate_run``.

    Raises:
        BadInput: as ``prepare``.
    """
    timer = StageTimer()

    def steps() -> Generator[Body, None, None]:
        prepared = yield from prepare(settings, workspace, device, files, confirm=confirm is not None)
        if confirm is not None:
            yield _decide(confirm, MEAN_POOL, prepared, output, workspace)
        yield from evaluate_head(None, settings, prepared, output, workspace, timer)

    return timer.watch(steps())


def _decide(reason: str, subject: str, prepared: Prepared, output: RunFolder, workspace: Path) -> Stage:
    """Record the decision for which the confirm split of ``prepared`` is scored."""
    decision = record_decision(reason, subject, prepared.dataset.eval_fingerprint, output, workspace)
    before = f"scored {decision.previous} times before" if decision.previous else "never scored before"
    return Stage("evaluate", f"the sealed confirm split ({before}), for {decision.who}: {reason}")


def evaluate_head(
    trained: TrainedHead | None,
    settings: Settings,
    prepared: Prepared,
    output: RunFolder,
    workspace: Path,
    timer: StageTimer,
) -> Generator[Body, None, None]:
    """Score a head, or mean pooling in its place, on the frozen evaluation.

    Writes ``items.parquet``, ``metrics.json`` and, unless it is there already, ``attention.parquet`` of the best measurement.
    """
    dataset, states = prepared.dataset, prepared.states
    yield Stage("evaluate", f"{len(dataset.retrieval)} retrieval items, {len(dataset.coherence)} coherence items")
    output.root.mkdir(parents=True, exist_ok=True)
    sense_text = settings.model.sense_text
    inputs = ranking_inputs(dataset, sense_text)
    rows = states.rows(inputs)
    vectors = mean_pool = TextVectors(inputs, mean_pool_of(states, rows), sense_text)
    on_queries = None
    if trained:
        on_queries = query_attention(trained.head, states, dataset, sense_text)
        vectors = TextVectors(inputs, embed_rows(trained.head, states, rows)[0], sense_text)
        if not output.attention.exists():
            position, probes = trained.position, probes_of(dataset)
            attention = attention_rows(
                trained.head, states, probes, sense_text, position.best_step, position.best_epoch
            )
            write_rows(output.attention, attention, AttentionRow)
    layers = yield from layer_rankings(prepared.encoder, dataset, sense_text, workspace)
    baselines = {f"{MEAN_POOL} layer {layer}": ranked for layer, ranked in layers.items()}
    ranked, pooled = rank_all(dataset, vectors), rank_all(dataset, mean_pool)
    result = evaluate(dataset.retrieval, dataset.coherence, ranked, pooled, baselines, dataset.killers, on_queries)
    write_rows(output.items, result.rows, ItemRow)
    yield Evaluation(
        top1=result.head.retrieval_top1,
        top3=result.head.retrieval_top3,
        coherence=result.head.coherence_accuracy,
        mean_pool_top1=result.mean_pool.retrieval_top1,
        mean_pool_top3=result.mean_pool.retrieval_top3,
        mean_pool_coherence=result.mean_pool.coherence_accuracy,
    )
    metrics = _metrics(result, trained, settings, prepared, timer.seconds(), size_and_sha256(output.items)[1])
    write_durably(output.metrics, msgspec.json.format(msgspec.json.encode(metrics)) + b"\n")
    yield End(tuple(verdict.gate for verdict in metrics.gates if not verdict.passed))


def _metrics(
    result: EvaluationResult,
    trained: TrainedHead | None,
    settings: Settings,
    prepared: Prepared,
    seconds: dict[str, float],
    items_sha256: str,
) -> Metrics:
    """The metrics of a head, or of mean pooling (``trained`` is None), which has no condition, seed or training."""
    dataset, position = prepared.dataset, trained.position if trained else None
    tiers = [bundle.tier for bundle in dataset.train]
    draws = position.step * settings.training.batch_size if position else 0
    return Metrics(
        condition=settings.condition if trained else MEAN_POOL,
        seed=settings.seed if trained else 0,
        eval_fingerprint=dataset.eval_fingerprint,
        data_fingerprint=dataset.data_fingerprint,
        retrieval_items=len(dataset.retrieval),
        coherence_steps=sum(len(item.steps) for item in dataset.coherence),
        head=result.head,
        mean_pool=result.mean_pool,
        baselines=result.baselines,
        gains=result.gains,
        informativeness=result.informativeness,
        best_step=position.best_step if position else 0,
        best_epoch=position.best_epoch if position else 0.0,
        best_score=position.best_score if position else None,
        score_name=position.score_name if position else "",
        epochs=position.epoch if position else 0.0,
        steps=position.step if position else 0,
        tier3_exposures=tier3_exposures(draws, tiers, settings.curriculum) if position else None,
        bundles=len(dataset.train) if trained else 0,
        killers=sum(bool(row.reason) for row in result.rows),
        gates=judge({gate: float(getattr(result.head, gate)) for gate in GATE_NAMES}, settings.gates),
        seconds=seconds,
        killer_set=len(dataset.killers),
        killer_top1=killer_top1(result.rows, dataset.killers),
        items_sha256=items_sha256,
    )
