"""All that is told about the results of an experiment, computed once from the loaded runs; every output shows this record."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from console.results.analysis import analyze
from console.results.analysis_plan import plan_status
from console.results.analysis_records import Analysis
from console.results.condition_scores import counted_runs
from console.results.load import LoadedRuns
from console.results.records import Results
from engine.contract.experiment import Experiment


class ExperimentReport(Struct, frozen=True):
    """Results of one profile, and the decision on them."""

    results: Results
    analysis: Analysis


def report_of(
    experiment: Experiment, profile: str, loaded: LoadedRuns, results: Results, folder: Path
) -> ExperimentReport:
    """The report on ``results`` of the runs ``loaded`` from the experiment's ``folder``. Takes seconds for many runs."""
    counted = counted_runs(results)
    complete = all(one.evaluated == one.total for one in results.conditions) and results.comparable
    status, planned = plan_status(folder, experiment, profile, counted, complete)
    return ExperimentReport(results, analyze(experiment, profile, loaded, results, status, planned))
