"""Evaluation step: scores a trained head, or frozen mean pooling alone, and writes items, attention and metrics."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import msgspec

from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.events import Body, End, Evaluation, Stage
from engine.contract.metrics import GATE_NAMES, Metrics, judge
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings
from engine.data.records import Dataset
from engine.evaluation.attention import attention_rows, probes_of
from engine.evaluation.evaluate import EvaluationResult, evaluate, killer_top1
from engine.evaluation.ranking import TextVectors, coherence_chance, evaluation_texts, retrieval_chance
from engine.evaluation.tables import write_attention, write_items
from engine.model.sense_head import SenseHead
from engine.pipeline.event_log import StageTimer
from engine.pipeline.prepare import Prepared, prepare
from engine.pipeline.spec import read_spec
from engine.pipeline.train import load_head
from engine.training.loop import TrainResult

MEAN_POOL = "mean_pool"
"""The condition in the metrics of mean pooling alone."""


def evaluate_run(
    run: RunFolder, output: RunFolder, workspace: Path, device: str, files: Mapping[str, Path] | None = None
) -> Iterator[Body]:
    """Evaluate the checkpoint of a trained run; the results go to ``output``, which may be the run's own folder.

    Args:
        workspace, device, files: as for ``run_pipeline``.

    Raises:
        BadInput: ``run`` holds no trained run, or its data or encoder are not to be had any more.
    """
    timer = StageTimer()

    def steps() -> Generator[Body, None, None]:
        spec = read_spec(run)
        prepared = yield from prepare(spec.settings, workspace, device, files)
        dataset, encoder = prepared.dataset, prepared.encoder
        # scores on other items, or of states the head was not trained on, are not that run's scores
        if (spec.data_fingerprint, spec.eval_fingerprint, spec.encoder_fingerprint) != (
            *(dataset.data_fingerprint, dataset.eval_fingerprint),
            encoder.fingerprint,
        ):
            raise BadInput("this run was made with other data or another encoder than are here", file=run.spec)
        head, result = load_head(spec, prepared, run)
        yield from evaluate_head(head, result, spec.settings, prepared, output, timer)

    return timer.watch(steps())


def evaluate_mean_pool(
    settings: Settings, output: RunFolder, workspace: Path, device: str, files: Mapping[str, Path] | None = None
) -> Iterator[Body]:
    """Evaluate frozen mean pooling alone, without a head; its scores stand in the metrics for both.

    Raises:
        BadInput: as ``prepare``.
    """
    timer = StageTimer()

    def steps() -> Generator[Body, None, None]:
        prepared = yield from prepare(settings, workspace, device, files)
        yield _stage(prepared.dataset)
        output.root.mkdir(parents=True, exist_ok=True)
        vectors = _mean_pool_vectors(prepared)
        yield from _write(evaluate(vectors, vectors, prepared.dataset), None, settings, prepared.dataset, output, timer)

    return timer.watch(steps())


def evaluate_head(
    head: SenseHead, trained: TrainResult, settings: Settings, prepared: Prepared, output: RunFolder, timer: StageTimer
) -> Generator[Body, None, None]:
    """Score ``head`` on the frozen evaluation; write items, metrics, and the head's attention unless it is there already."""
    dataset, states = prepared.dataset, prepared.states
    yield _stage(dataset)
    output.root.mkdir(parents=True, exist_ok=True)
    vectors = TextVectors.from_head(head, states, evaluation_texts(dataset))
    if not output.attention.exists():
        write_attention(output.attention, attention_rows(head, states, probes_of(dataset), trained.best_epoch))
    result = evaluate(vectors, _mean_pool_vectors(prepared), dataset)
    yield from _write(result, trained, settings, dataset, output, timer)


def _stage(dataset: Dataset) -> Stage:
    return Stage("evaluate", f"{len(dataset.retrieval)} retrieval items, {len(dataset.coherence)} coherence items")


def _mean_pool_vectors(prepared: Prepared) -> TextVectors:
    return TextVectors.from_mean_pool(prepared.mean_pool, prepared.states, evaluation_texts(prepared.dataset))


def _write(
    result: EvaluationResult,
    trained: TrainResult | None,
    settings: Settings,
    dataset: Dataset,
    output: RunFolder,
    timer: StageTimer,
) -> Iterator[Body]:
    """Write ``items.parquet`` and ``metrics.json``; yield the scores and the end with the failed gates."""
    write_items(output.items, result.rows)
    yield Evaluation(
        top1=result.head.retrieval_top1,
        top3=result.head.retrieval_top3,
        coherence=result.head.coherence_accuracy,
        mean_pool_top1=result.mean_pool.retrieval_top1,
        mean_pool_top3=result.mean_pool.retrieval_top3,
        mean_pool_coherence=result.mean_pool.coherence_accuracy,
    )
    metrics = _metrics(result, trained, settings, dataset, timer.seconds())
    write_durably(output.metrics, msgspec.json.format(msgspec.json.encode(metrics)) + b"\n")
    yield End(tuple(verdict.gate for verdict in metrics.gates if not verdict.passed))


def _metrics(
    result: EvaluationResult,
    trained: TrainResult | None,
    settings: Settings,
    dataset: Dataset,
    seconds: dict[str, float],
) -> Metrics:
    """The metrics of a trained head, or of mean pooling (``trained`` is None), which belongs to no condition or seed."""
    values = {gate: float(getattr(result.head, gate)) for gate in GATE_NAMES}
    return Metrics(
        condition=settings.condition if trained else MEAN_POOL,
        seed=settings.seed if trained else 0,
        eval_fingerprint=dataset.eval_fingerprint,
        data_fingerprint=dataset.data_fingerprint,
        retrieval_items=len(dataset.retrieval),
        coherence_steps=sum(len(item.steps) for item in dataset.coherence),
        head=result.head,
        mean_pool=result.mean_pool,
        random_top1=retrieval_chance(dataset.retrieval, 1),
        random_top3=retrieval_chance(dataset.retrieval, 3),
        random_coherence=coherence_chance(dataset.coherence),
        best_epoch=trained.best_epoch if trained else 0,
        epochs=settings.training.epochs if trained else 0,
        steps=trained.steps if trained else 0,
        bundles=len(dataset.train) if trained else 0,
        killers=sum(bool(row.reason) for row in result.rows),
        gates=judge(values, settings.gates),
        seconds=seconds,
        killer_set=len(dataset.killers),
        killer_top1=killer_top1(result.rows, dataset.killers),
    )
