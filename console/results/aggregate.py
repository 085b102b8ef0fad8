"""Per condition: means and deviations over seeds, the ship blockers' verdicts, and what to do about a failure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Literal

from console.results.summary import ConditionResult, RunResult, ScoreLine, Spread
from engine.contract.experiment import Contingency, Experiment
from engine.contract.metrics import judge

Verdict = Literal["pass", "fail", "incomplete"]


def spread(values: Sequence[float]) -> Spread | None:
    """Mean and sample standard deviation (n - 1); None of nothing, no deviation of one value."""
    if not values:
        return None
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


def condition_result(experiment: Experiment, name: str, runs: Sequence[RunResult], comparable: bool) -> ConditionResult:
    """The condition over those of its ``runs`` that count.

    The verdict is ``pass`` only when every seed is in and the mean over seeds passes every ship blocker; it is
    ``fail`` as soon as that mean fails one with every seed in. Scores under different fingerprints are not averaged.
    """
    title = experiment.conditions[name].title
    heads = [(run, run.head) for run in runs if run.head is not None and run.counts]
    if not heads or not comparable:
        return ConditionResult(name, title, len(heads), len(runs))

    def over(value: Callable[[ScoreLine], float]) -> Spread:
        found = spread([value(head) for _, head in heads])
        assert found is not None
        return found

    top1, top3 = over(lambda head: head.top1), over(lambda head: head.top3)
    coherence, margin = over(lambda head: head.coherence), over(lambda head: head.margins.mean)
    gates = judge(
        {"retrieval_top1": top1.mean, "retrieval_top3": top3.mean, "coherence_accuracy": coherence.mean},
        experiment.gates,
    )
    verdict: Verdict = "incomplete"
    if len(heads) == len(runs):
        verdict = "pass" if all(gate.passed for gate in gates) else "fail"
    pools = [run.mean_pool for run, _ in heads if run.mean_pool is not None]
    tiers = sorted({tier for _, head in heads for tier in head.tiers})
    return ConditionResult(
        condition=name,
        title=title,
        evaluated=len(heads),
        total=len(runs),
        top1=top1,
        top3=top3,
        coherence=coherence,
        margin=margin,
        mean_pool_top1=statistics.fmean(pool.top1 for pool in pools),
        mean_pool_top3=statistics.fmean(pool.top3 for pool in pools),
        mean_pool_coherence=statistics.fmean(pool.coherence for pool in pools),
        mean_pool_margin=statistics.fmean(pool.margins.mean for pool in pools),
        tiers={
            tier: over_tier
            for tier in tiers
            if (over_tier := spread([head.tiers[tier].top1 for _, head in heads if tier in head.tiers]))
        },
        gates=gates,
        verdict=verdict,
        failed_seeds=tuple(run.seed for run, _ in heads if any(not gate.passed for gate in run.gates)),
        contingency=contingency(experiment, name) if any(not gate.passed for gate in gates) else (),
    )


def contingency(experiment: Experiment, condition: str) -> tuple[Contingency, ...]:
    """The steps of the plan that can help a condition that failed a ship blocker, in the plan's order."""
    return tuple(step for step in experiment.contingency if condition in step.conditions)


def overall(conditions: Sequence[ConditionResult]) -> Verdict:
    """``pass`` if every condition passes, ``fail`` if one fails, else ``incomplete``."""
    verdicts = {condition.verdict for condition in conditions}
    return "fail" if "fail" in verdicts else "pass" if verdicts == {"pass"} else "incomplete"
