"""The decision on one profile: gates with intervals, comparisons, expected outcomes, and one sentence. Reads no file."""

from __future__ import annotations

from collections.abc import Mapping

from console.results.analysis_records import Analysis, GateResult, PlanStatus
from console.results.load import LoadedRuns
from console.results.records import Results
from console.results.seed_scores import seed_scores
from console.results.statistics.estimates import Interval, SeedScores
from engine.contract.experiment import Experiment
from engine.contract.metrics import GATE_NAMES
from engine.contract.settings import RunId

CountedRuns = Mapping[str, tuple[RunId, ...]]
"""The runs of each condition that are counted."""


def counted_runs(results: Results) -> dict[str, tuple[RunId, ...]]:
    """The counted runs of each condition of the profile, in the matrix's order."""
    found: dict[str, tuple[RunId, ...]] = {one.condition: () for one in results.conditions}
    for run in results.runs:
        if run.is_counted:
            found[run.condition] += (RunId(run.condition, run.seed),)
    return found


def analyze(
    experiment: Experiment, profile: str, loaded: LoadedRuns, results: Results, plan: PlanStatus | None = None
) -> Analysis:
    """The decision on ``results`` of the runs ``loaded``."""
    counted = counted_runs(results)
    gates: list[GateResult] = []
    for condition, runs in counted.items():
        for gate in GATE_NAMES:
            threshold = float(getattr(experiment.gates, gate))
            if not runs or not results.comparable:
                gates.append(GateResult(condition, gate, threshold, "MISSING"))
                continue
            scores = seed_scores(loaded, runs, gate)
            interval = _without_interval(scores)
            passed = interval.mean >= threshold
            gates.append(GateResult(condition, gate, threshold, "INCONCLUSIVE", interval, passed))
    return Analysis("undecided", "No interval is computed yet.", gates=tuple(gates), plan=plan or PlanStatus())


def _without_interval(scores: SeedScores) -> Interval:
    seeds, items = scores.values.shape
    lemmas = int(scores.lemmas.max()) + 1
    return Interval(float(scores.values.mean()), None, None, None, "none", seeds, lemmas, items)
