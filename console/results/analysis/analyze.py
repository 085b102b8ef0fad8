"""The decision on one profile: gates with intervals, comparisons, expected outcomes, and one sentence. Reads no file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from console.results.analysis.comparisons import compare, outcome_results, questions
from console.results.analysis.condition_scores import DRAWS, ConditionScores
from console.results.analysis.gate_results import below_pooling_text, gate_results, is_below_pooling, threshold_warnings
from console.results.analysis.plan import Plan, plan_of
from console.results.analysis.records import Analysis, GateResult, PlanStatus
from console.results.analysis.verdict import Evaluated, decide
from console.results.load import LoadedRuns
from console.results.records import Results, counted_runs
from console.results.seed_scores import scores_of
from engine.contract.experiment import Experiment
from engine.contract.metrics import GATE_NAMES
from engine.contract.settings import RunId


def analyze(
    experiment: Experiment,
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
    present = plan_of(experiment, results.profile)
    status = status or PlanStatus(level=present.level)
    planned = planned or present
    counted = counted_runs(results)
    scores = ConditionScores(loaded, counted, draws)
    comparable = results.comparable and scores.is_one_evaluation
    if not comparable:
        scores = ConditionScores(loaded, {}, draws)
    settings, conditions = experiment.analysis, tuple(counted)
    parents = {name: one.parent for name in conditions if (one := experiment.conditions[name].derived) is not None}
    gate_level = settings.gate_level * status.level / settings.level
    gates = gate_results(scores, conditions, experiment.gates, gate_level)
    pairs = [pair for pair in present.comparisons if pair in planned.comparisons and present.metric == planned.metric]
    asked = questions(settings, pairs, conditions, scores.metrics, parents)
    comparisons = compare(scores, asked, settings, status.level)
    expected = [(name, one) for name, one in experiment.outcomes.items() if {name, one.over or name} <= {*conditions}]
    decision = decide(
        [Evaluated(one.condition, one.evaluated, one.total) for one in results.conditions],
        gates,
        comparisons,
        gate_level,
        comparable=comparable,
        derived=parents,
        changes=status.changes,
    )
    return Analysis(
        decision.verdict,
        decision.summary,
        decision.shippable,
        gates,
        comparisons,
        outcome_results(scores, expected, status.level),
        status,
        (*_warnings(gates, scores, counted, planned), *status.notes),
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
    gates: Sequence[GateResult], scores: ConditionScores, counted: Mapping[str, Sequence[RunId]], planned: Plan
) -> list[str]:
    """What makes the numbers doubtful, each said once."""
    found = [text for gate in gates for text in threshold_warnings(gate)]
    for name in GATE_NAMES:
        if below := [one for one in gates if one.gate == name and is_below_pooling(one)]:
            found.append(below_pooling_text(below))
    if equal := scores.equal_runs(*scores.conditions):
        found.append(f"runs with identical items are one observation: {', '.join(equal)}")
    known = [(gate.condition, gate.interval.seeds) for gate in gates if gate.interval is not None]
    if single := list(dict.fromkeys(name for name, seeds in known if seeds == 1)):  # identical runs are one
        found.append(f"one seed says nothing about other seeds: intervals of {', '.join(single)} are for this model")
    return list(dict.fromkeys([*found, *_uneven_seeds(counted, planned)]))


def _uneven_seeds(counted: Mapping[str, Sequence[RunId]], planned: Plan) -> list[str]:
    """Seeds beyond the planned ones that some compared conditions have and others lack."""
    compared = {name for pair in planned.comparisons for name in pair} & set(counted)
    added = {name: {run.seed for run in counted[name]} - set(planned.seeds) for name in sorted(compared)}
    every = set().union(*added.values())
    return [
        f"{name} lacks added seeds that others have ({', '.join(map(str, sorted(every - own)))}):"
        " new seeds go to every compared condition"
        for name, own in added.items()
        if every - own
    ]
