"""Report on an experiment: results, verdict and descriptions in one record, made of the loaded runs; every output shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from msgspec import Struct

from console.results.analysis.analyze import analyze
from console.results.analysis.plan import plan_status
from console.results.analysis.records import Analysis
from console.results.descriptions.attention import attention_report
from console.results.descriptions.failure_modes import failure_modes
from console.results.descriptions.load_training import Recordings, load_training
from console.results.descriptions.margins import margin_distributions
from console.results.descriptions.records import (
    AttentionReport,
    ConditionFailures,
    MarginDistribution,
    TrainingSummary,
)
from console.results.descriptions.training_summary import training_summary
from console.results.items.changes import ItemChanges, item_changes
from console.results.items.items import item_table
from console.results.load import LoadedRuns
from console.results.next_steps.decisions import DecisionLog, read_decisions
from console.results.next_steps.records import NextStep
from console.results.next_steps.steps import next_steps
from console.results.provenance import RunProvenance, provenance
from console.results.records import Results, counted_runs
from engine.contract.experiment import Experiment


class ExperimentReport(Struct, frozen=True):
    """Results of one profile, the decision on them, and what its runs show beside it."""

    results: Results
    analysis: Analysis
    failure_modes: tuple[ConditionFailures, ...] = ()
    margins: tuple[MarginDistribution, ...] = ()
    training: TrainingSummary | None = None
    attention: AttentionReport = AttentionReport()
    next_steps: tuple[NextStep, ...] = ()
    decisions: DecisionLog = DecisionLog()
    item_changes: tuple[ItemChanges, ...] = ()
    provenance: tuple[RunProvenance, ...] = ()


def report_of(
    experiment: Experiment,
    loaded: LoadedRuns,
    results: Results,
    folder: Path,
    recordings: Recordings | None = None,
    clock: Callable[[], float] = perf_counter,
) -> ExperimentReport:
    """The report on ``results`` of the runs ``loaded`` from the experiment's ``folder``. Takes seconds for many runs.

    Args:
        recordings: events and attention of the runs; None: they are read now.
    """
    started = clock()
    if recordings is None:
        recordings = load_training(folder, loaded.runs)
    counted = counted_runs(results)
    runs = tuple(run for of_condition in counted.values() for run in of_condition)
    status, planned = plan_status(folder, experiment, results)
    analysis = analyze(experiment, loaded, results, status, planned)
    steps = next_steps(experiment, results.profile, results, analysis, loaded)
    failures, margins = failure_modes(loaded, runs), margin_distributions(loaded, runs)
    attention = attention_report(recordings, runs)
    changes = item_changes(item_table(loaded, runs, experiment))
    points = experiment.analysis.convergence_points
    threshold = None if points is None else points / 100
    training = training_summary(recordings, runs, threshold, experiment.timeline, clock() - started)
    decisions = read_decisions(folder)
    sources = provenance(loaded, runs)
    return ExperimentReport(
        results, analysis, failures, margins, training, attention, steps, decisions, changes, sources
    )
