"""What next steps are judged by: the analysis, budgets and runs of complete conditions; and how it is put into words."""

from __future__ import annotations

from typing import NamedTuple

from console.format import metric_label
from console.results.analysis.findings import gate_text
from console.results.analysis.records import Analysis, Comparison, GateResult
from console.results.load import LoadedRuns
from console.results.records import ConditionResult, Results, counted_runs
from console.results.statistics.estimates import Interval
from console.sanitize import sanitize_line
from engine.contract.experiment import Experiment
from engine.contract.settings import RunId

HEALTHY_EXPOSURES = 50.0
"""Expected draws of a tier3 bundle in a run from which it is not diluted, as the engine's guardrail has it."""

OTHER_BUDGET = 1.05
"""Budgets within this factor count as equal: editions of one size differ by a few bundles."""


class Budget(NamedTuple):
    """Steps and epochs of a condition's runs, and draws of a tier3 bundle (None: it has none), as means over runs."""

    steps: float
    epochs: float
    exposures: float | None


class Facts(NamedTuple):
    """What the steps are judged by."""

    experiment: Experiment
    profile: str
    analysis: Analysis
    complete: dict[str, ConditionResult]
    budgets: dict[str, Budget]
    pairs: tuple[tuple[str, str], ...]
    control: str | None
    loaded: LoadedRuns
    runs: dict[str, tuple[RunId, ...]]

    def compared(self, ours: str, theirs: str, metric: str) -> Comparison | None:
        """The comparison of two conditions on ``metric`` that has an interval, if there is one."""
        for one in self.analysis.comparisons:
            if (one.ours, one.theirs, one.metric) == (ours, theirs, metric) and one.recipe is not None:
                return one
        return None

    def failed_gates(self, condition: str) -> list[GateResult]:
        """Ship blockers that ``condition`` fails, or would by its mean where the interval does not decide."""
        gates = [gate for gate in self.analysis.gates if gate.condition == condition]
        return [
            one for one in gates if one.outcome == "FAIL" or (one.outcome == "INCONCLUSIVE" and not one.point_passed)
        ]


def facts_of(experiment: Experiment, profile: str, results: Results, analysis: Analysis, loaded: LoadedRuns) -> Facts:
    """The facts of one profile."""
    complete = {one.condition: one for one in results.conditions if one.evaluated and one.evaluated == one.total}
    names = tuple(one.condition for one in results.conditions)
    runs = counted_runs(results)
    budgets = {name: budget for name in names if (budget := _budget(loaded, runs[name])) is not None}
    planned = tuple(name for name in names if experiment.conditions[name].derived is None)
    return Facts(
        experiment,
        profile,
        analysis,
        complete,
        budgets,
        experiment.analysis.pairs(planned),
        experiment.analysis.control_of(planned),
        loaded,
        runs,
    )


def _budget(loaded: LoadedRuns, runs: tuple[RunId, ...]) -> Budget | None:
    metrics = [one.capsule.metrics for run in runs if (one := loaded.runs.get(run)) is not None and one.capsule]
    if not metrics:
        return None
    exposures = [one.tier3_exposures for one in metrics if one.tier3_exposures is not None]
    count = len(metrics)
    drawn = sum(exposures) / len(exposures) if exposures else None
    return Budget(sum(one.steps for one in metrics) / count, sum(one.epochs for one in metrics) / count, drawn)


def other_steps(facts: Facts, name: str, other: str) -> str:
    """``C took 622 steps, B 248``; "" if they took as many, or it is not known."""
    one, two = facts.budgets.get(name), facts.budgets.get(other)
    if one is None or two is None or is_equal(one.steps, two.steps):
        return ""
    return f"{name} took {one.steps:,.0f} steps, {other} {two.steps:,.0f}"


def is_equal(one: float, other: float) -> bool:
    """Whether two budgets are about the same."""
    return max(one, other) <= OTHER_BUDGET * max(1e-9, min(one, other))


def gates_text(gates: list[GateResult]) -> str:
    """``coherence (71.2 [69.0, 73.4], needs 80)``."""
    return ", ".join(map(gate_text, gates))


def difference(one: Interval) -> str:
    """``-0.8 [-3.1, +1.5]`` in points."""
    bounds = "" if one.low is None or one.high is None else f" [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
    return f"{100 * one.mean:+.1f}{bounds}"


def label(metric: str) -> str:
    """The metric's short name, safe to show: a tier's name comes from a file."""
    return metric_label(sanitize_line(metric))
