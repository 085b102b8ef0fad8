"""The decision on one profile: gates with intervals, comparisons, expected outcomes, and one sentence. Reads no file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from console.results.analysis_plan import Plan, plan_of
from console.results.analysis_records import Analysis, Comparison, GateResult, PlanStatus
from console.results.comparisons import compare, outcome_results, questions
from console.results.condition_scores import DRAWS, ConditionScores, counted_runs
from console.results.gate_results import gate_results
from console.results.load import LoadedRuns
from console.results.records import Results
from console.results.seed_scores import scores_of
from console.results.verdict import Evaluated, decide
from engine.contract.experiment import Experiment
from engine.contract.settings import RunId


def analyze(
    experiment: Experiment,
    profile: str,
    loaded: LoadedRuns,
    results: Results,
    status: PlanStatus | None = None,
    planned: Plan | None = None,
    draws: int = DRAWS,
) -> Analysis:
    """The decision on ``results`` of the runs ``loaded``.

    Args:
        status: of the plan; its level is that of the comparisons, and gates have as much less as it.
        planned: as it was at the first launch; None before it, or if it was not kept.
        draws: of the bootstrap.
    """
    present = plan_of(experiment, profile)
    status = status or PlanStatus(level=present.level)
    planned = planned or present
    counted = counted_runs(results)
    scores = ConditionScores(loaded, counted, draws)
    comparable = results.comparable and scores.is_one_evaluation
    if not comparable:
        scores = ConditionScores(loaded, {}, draws)
    settings, conditions = experiment.analysis, tuple(counted)
    derived = tuple(name for name in conditions if experiment.conditions[name].derived is not None)
    gate_level = settings.gate_level * status.level / settings.level
    gates = gate_results(scores, conditions, experiment.gates, gate_level)
    pairs = [pair for pair in present.comparisons if pair in planned.comparisons and present.metric == planned.metric]
    asked = questions(settings, pairs, conditions, scores.metrics, derived)
    comparisons = compare(scores, asked, settings, status.level)
    expected = [(name, one) for name, one in experiment.outcomes.items() if {name, one.over or name} <= {*conditions}]
    decision = decide(
        [Evaluated(one.condition, one.evaluated, one.total) for one in results.conditions],
        gates,
        comparisons,
        gate_level,
        comparable=comparable,
        derived=derived,
    )
    return Analysis(
        decision.verdict,
        decision.summary,
        decision.shippable,
        gates,
        comparisons,
        outcome_results(scores, expected, status.level),
        status,
        tuple(_warnings(gates, scores, comparisons, counted)),
        results_fingerprint(loaded, counted, present),
    )


def results_fingerprint(loaded: LoadedRuns, counted: Mapping[str, Sequence[RunId]], plan: Plan) -> str:
    """SHA-256 of what the numbers come from: items and settings of each counted run, gates, comparisons and margins."""
    parts: list[object] = [msgspec.to_builtins(plan)]
    for run in sorted(run for runs in counted.values() for run in runs):
        capsule = loaded.runs[run].capsule
        settings = "" if capsule is None else capsule.settings.fingerprint()
        parts.append([str(run), settings, scores_of(loaded, run).content])
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def _warnings(
    gates: Sequence[GateResult],
    scores: ConditionScores,
    comparisons: Sequence[Comparison],
    counted: Mapping[str, Sequence[RunId]],
) -> list[str]:
    """What makes the numbers doubtful, each said once."""
    found = [text for gate in gates for text in gate.warnings]
    equal = scores.equal_runs(*scores.conditions)
    if equal:
        found.append(f"runs with identical items are one observation: {', '.join(equal)}")
    single = [name for name, runs in counted.items() if len(runs) == 1]
    if single:
        found.append(f"{', '.join(single)}: one seed says nothing about other seeds; intervals are for these models")
    found += _uneven_seeds(comparisons, counted)
    return list(dict.fromkeys(found))


def _uneven_seeds(comparisons: Sequence[Comparison], counted: Mapping[str, Sequence[RunId]]) -> list[str]:
    """Seeds that only some of the conditions compared by plan have; a condition without any run is only missing."""
    compared = {name for one in comparisons if one.role != "exploratory" for name in (one.ours, one.theirs)}
    seeds = {name: {run.seed for run in counted.get(name, ())} for name in compared if counted.get(name)}
    most = Counter(seed for own in seeds.values() for seed in own)
    uneven = sorted(seed for seed, times in most.items() if times < len(seeds))
    if not uneven:
        return []
    lacking = sorted(name for name, own in seeds.items() if not own.issuperset(uneven))
    named = ", ".join(map(str, uneven))
    return [f"{', '.join(lacking)} lacks seeds that others have ({named}): new seeds go to every compared condition"]
