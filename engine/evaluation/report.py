"""The report of an evaluation, and what needs no encoder for it: items from files, guessing and word overlap."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import structs

from engine.contract.experiment import EncoderSettings, Gates
from engine.contract.items import AttentionRow
from engine.contract.metrics import GATE_NAMES, AttentionSummary, EvaluationReport, Metrics, Scores, judge
from engine.data.formats.user_files import UserFiles
from engine.data.records import Dataset
from engine.evaluation.evaluate import RANDOM, WORD_OVERLAP, EvaluationResult, evaluate, killer_top1, overlap_rankings

MEAN_POOL = "mean_pool"
"""Frozen mean pooling, as a name of a model and as the condition in its metrics."""


def file_dataset(files: UserFiles) -> Dataset:
    """The evaluation items of users' files as a dataset without training data; its fingerprint is of these items."""
    items = (files.retrieval, files.coherence, files.killers, files.probes)
    fingerprint = hashlib.sha256(msgspec.json.encode(items)).hexdigest()
    return Dataset("", (), (), files.retrieval, files.coherence, "", fingerprint, files.probes, files.killers)


def baseline_report(name: str, dataset: Dataset, gates: Gates, *, has_tiers: bool) -> EvaluationReport:
    """The report of ``random`` or ``word_overlap``, which need no encoder, with the other one beside it."""
    by_overlap = overlap_rankings(dataset.retrieval, dataset.coherence)
    result = evaluate(dataset.retrieval, dataset.coherence, by_overlap, by_overlap, {}, dataset.killers)
    other = WORD_OVERLAP if name == RANDOM else RANDOM
    models = {one: result.baselines[one] for one in (name, other)}
    report = _report(name, models, result, dataset, gates, has_tiers)
    # of the killers guessing expects a share that no row has
    return structs.replace(report, killer_top1=None) if name == RANDOM else report


def model_report(
    subject: str,
    encoder: EncoderSettings,
    result: EvaluationResult,
    dataset: Dataset,
    gates: Gates,
    attention: Sequence[AttentionRow] = (),
    *,
    has_tiers: bool,
) -> EvaluationReport:
    """The report of a head, or of frozen mean pooling, beside all baselines.

    Args:
        subject: the name of the head such as ``A/42``, or ``mean_pool``.
        has_tiers: whether the tiers of the items are known; those of files are not.
    """
    report = _report(subject, _models(subject, result), result, dataset, gates, has_tiers)
    return structs.replace(
        report,
        encoder=encoder.model,
        layers=encoder.layers,
        gains={} if subject == MEAN_POOL else result.gains,
        attention=_summary(attention) if attention else None,
    )


def report_of_metrics(metrics: Metrics, encoder: EncoderSettings) -> EvaluationReport:
    """The report of a run's ``metrics.json``."""
    subject = MEAN_POOL if metrics.condition == MEAN_POOL else f"{metrics.condition}/{metrics.seed}"
    return EvaluationReport(
        subject=subject,
        encoder=encoder.model,
        layers=encoder.layers,
        eval_fingerprint=metrics.eval_fingerprint,
        retrieval_items=metrics.retrieval_items,
        coherence_steps=metrics.coherence_steps,
        models={subject: metrics.head, MEAN_POOL: metrics.mean_pool, **metrics.baselines},
        gains={} if subject == MEAN_POOL else metrics.gains,
        informativeness=metrics.informativeness,
        gates=metrics.gates,
        killers=metrics.killer_set,
        killer_top1=metrics.killer_top1,
    )


def _models(subject: str, result: EvaluationResult) -> dict[str, Scores]:
    return {subject: result.head, MEAN_POOL: result.mean_pool, **result.baselines}


def _report(
    subject: str,
    models: Mapping[str, Scores],
    result: EvaluationResult,
    dataset: Dataset,
    gates: Gates,
    has_tiers: bool,
) -> EvaluationReport:
    known = {item.item_id for item in dataset.retrieval}
    return EvaluationReport(
        subject=subject,
        encoder="",
        layers=(),
        eval_fingerprint=dataset.eval_fingerprint,
        retrieval_items=len(dataset.retrieval),
        coherence_steps=sum(len(item.steps) for item in dataset.coherence),
        models={name: one if has_tiers else structs.replace(one, tiers={}) for name, one in models.items()},
        gains={},
        informativeness=result.informativeness,
        gates=judge({gate: float(getattr(models[subject], gate)) for gate in GATE_NAMES}, gates),
        killers=sum(killer.item_id in known for killer in dataset.killers),
        killer_top1=killer_top1(result.rows, dataset.killers),
    )


def _summary(rows: Sequence[AttentionRow]) -> AttentionSummary:
    cues = [row.cue_mass for row in rows if row.cue_mass is not None]
    return AttentionSummary(
        probes=len(rows),
        entropy=math.fsum(row.entropy for row in rows) / len(rows),
        lemma_mass=math.fsum(row.lemma_mass for row in rows) / len(rows),
        cue_mass=math.fsum(cues) / len(cues) if cues else None,
    )
