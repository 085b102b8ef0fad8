"""Evaluator: scores a run's checkpoint or frozen mean pooling on any evaluation items, without training data."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import NamedTuple

from engine.contract.bad_input import BadInput
from engine.contract.events import Body, Stage
from engine.contract.items import AttentionRow, ItemRow
from engine.contract.metrics import EvaluationReport
from engine.contract.run_folder import RunFolder
from engine.contract.settings import Settings, Spec
from engine.data.bundles.encoder_text import encoder_input_of
from engine.data.dataset_files import load_evaluation
from engine.data.records import Dataset
from engine.encoder.token_cache import TokenCache, cache_folder
from engine.evaluation.attention import attention_rows, query_attention
from engine.evaluation.evaluate import evaluate
from engine.evaluation.frozen_layers import MeanRecordingEncoder, layer_rankings
from engine.evaluation.ranking import TextVectors, rank_all, ranking_inputs
from engine.evaluation.report import MEAN_POOL, model_report
from engine.model.embedding import embed_rows, mean_pool_of
from engine.pipeline.prepare import Prepared, prepare_dataset, reference_cache
from engine.pipeline.train import TrainedHead, load_head, trained_weights


class TrainedRun(NamedTuple):
    """A run whose checkpoint is scored: its ``spec.json`` and its folder."""

    spec: Spec
    folder: RunFolder


class Evaluated(NamedTuple):
    """The report, a row per item and step, and the head's attention on each probe."""

    report: EvaluationReport
    rows: list[ItemRow]
    attention: list[AttentionRow]


def built_evaluation(
    settings: Settings, workspace: Path, device: str, files: Mapping[str, Path] | None = None
) -> Generator[Body, None, Dataset]:
    """The evaluation of the dataset that ``settings`` describe, which is built first if it is missing.

    Raises:
        BadInput: as ``prepare_dataset``.
    """
    yield Stage("data", "the built evaluation")
    folder = yield from prepare_dataset(settings, workspace, reference_cache(settings, workspace, device), files)
    return load_evaluation(folder)


def evaluate_items(
    dataset: Dataset, settings: Settings, run: TrainedRun | None, workspace: Path, device: str, *, has_tiers: bool
) -> Generator[Body, None, Evaluated]:
    """Score the head of ``run``, or frozen mean pooling where there is none, on the items of ``dataset``.

    Each text is encoded once, for the head and for the single layers beside it.

    Args:
        dataset: retrieval items, coherence items or both; probes and killers if there are any.
        settings: encoder, layers, how senses are read, and gates.
        workspace: keeps token states, and the rankings of single layers.
        has_tiers: see ``model_report``.

    Raises:
        BadInput: there is no usable checkpoint, or the encoder available is another than the run's.
    """
    encoder = MeanRecordingEncoder(settings.encoder, device)
    if run is not None and encoder.fingerprint != run.spec.encoder_fingerprint:
        named = f"{settings.encoder.model}, layers {', '.join(map(str, settings.encoder.layers))}"
        raise BadInput(f"its head reads another encoder than {named}, as it is here", file=run.folder.spec)
    if run is not None:
        trained_weights(run.spec, run.folder)  # before anything is encoded, which may take long
    sense_text = settings.model.sense_text
    inputs = ranking_inputs(dataset, sense_text)
    probes = dataset.probes if run else ()
    wanted = {*inputs, *(encoder_input_of(probe.event, sense_text) for probe in probes)}
    texts = {one.text for one in wanted}
    yield Stage("encode", f"{len(texts)} texts")
    cache = TokenCache(cache_folder(workspace, encoder), encoder)
    yield from cache.fill(texts)
    prepared = Prepared(dataset, encoder, cache.states(wanted, device))
    trained = load_head(run.spec, prepared, run.folder) if run else None

    yield Stage("evaluate", f"{len(dataset.retrieval)} retrieval items, {len(dataset.coherence)} coherence items")
    rows = prepared.states.rows(inputs)
    on_queries = None
    pooled = ranked = rank_all(dataset, TextVectors(inputs, mean_pool_of(prepared.states, rows), sense_text))
    if trained:
        embedding = embed_rows(trained.head, prepared.states, rows)[0]
        ranked = rank_all(dataset, TextVectors(inputs, embedding, sense_text))
        on_queries = query_attention(trained.head, prepared.states, dataset, sense_text)
    by_layer = yield from layer_rankings(encoder, dataset, sense_text, workspace)
    layers = {f"{MEAN_POOL} layer {layer}": of for layer, of in by_layer.items()}
    result = evaluate(dataset.retrieval, dataset.coherence, ranked, pooled, layers, dataset.killers, on_queries)
    attention = _attention(trained, prepared, settings) if trained and probes else []
    subject = settings.run.label if trained else MEAN_POOL
    report = model_report(subject, settings.encoder, result, dataset, settings.gates, attention, has_tiers=has_tiers)
    return Evaluated(report, result.rows, attention)


def _attention(trained: TrainedHead, prepared: Prepared, settings: Settings) -> list[AttentionRow]:
    position, probes = trained.position, prepared.dataset.probes
    place = (position.best_step, position.best_epoch)
    return attention_rows(trained.head, prepared.states, probes, settings.model.sense_text, *place)
