"""Results of loaded runs: means and deviations over seeds, ship blocker verdicts. Reads no file."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from console.results.load import LoadedRun, LoadedRuns
from console.results.records import (
    ChosenHead,
    ConditionResult,
    ModelScores,
    Results,
    RunResult,
    Spread,
    Verdict,
)
from console.sanitize import sanitize_line
from engine.contract.experiment import Experiment, Gates
from engine.contract.metrics import GateVerdict, Metrics, judge
from engine.contract.overrides import flatten
from engine.contract.settings import RunId, Settings, differences, resolve, run_ids
from engine.contract.state import RunState

MAX_NAMED_SETTINGS = 3


def aggregate(
    experiment: Experiment,
    profile: str,
    loaded: LoadedRuns,
    states: Mapping[RunId, RunState | None] | None = None,
    damaged: Mapping[RunId, str] | None = None,
) -> Results:
    """The results of a profile.

    Args:
        states: state of each run on the host; for a run without one, the state of its local copy counts.
        damaged: runs whose local copy differs from its manifest, with the reason or ""; none of them is counted.
    """
    states, damaged = states or {}, damaged or {}
    runs = tuple(
        _run_result(experiment, profile, run, loaded.runs.get(run, LoadedRun()), states.get(run), damaged.get(run))
        for run in run_ids(experiment, profile)
    )
    comparable = len({run.eval_fingerprint for run in runs if run.is_counted}) <= 1
    conditions = tuple(
        replace(
            condition_result(experiment, name, [run for run in runs if run.condition == name], comparable),
            differences=differences(experiment, name, profile),
        )
        for name in dict.fromkeys(run.condition for run in runs)
    )
    return Results(experiment.name, profile, _overall(conditions), comparable, runs, conditions)


def _run_result(
    experiment: Experiment,
    profile: str,
    run: RunId,
    loaded: LoadedRun,
    host_state: RunState | None,
    damage: str | None,
) -> RunResult:
    state, reason = "none", ""
    if latest := host_state or loaded.state:
        state, reason = latest.state, sanitize_line(latest.reason)
    result = RunResult(run.condition, run.seed, state, reason)
    if damage is not None:
        return replace(result, problem="damaged" + (f": {sanitize_line(damage)}" if damage else ""))
    if loaded.state is None and loaded.problem:
        return replace(result, problem=loaded.problem)
    # The local copy of an older launch says nothing about the launch that the host has now.
    if loaded.state is None or (host_state is not None and loaded.state.key != host_state.key):
        return replace(result, problem="not synced yet") if latest is not None and latest.ended else result
    capsule = loaded.capsule
    if capsule is None:
        return replace(result, problem=loaded.problem)
    head = capsule.head
    return replace(
        result,
        eval_fingerprint=capsule.metrics.eval_fingerprint,
        head=head,
        mean_pool=capsule.mean_pool,
        gates=_judge(head.top1, head.top3, head.coherence, experiment.gates),
        seconds=capsule.metrics.seconds,
        killer_set=capsule.metrics.killer_set,
        killer_top1=capsule.metrics.killer_top1,
        chosen=_chosen(capsule.metrics),
        tier3_exposures=capsule.metrics.tier3_exposures,
        other_settings=settings_difference(capsule.settings, resolve(experiment, profile, run)),
    )


def _chosen(metrics: Metrics) -> ChosenHead | None:
    if metrics.best_score is None:
        return None
    return ChosenHead(metrics.best_step, metrics.best_epoch, metrics.best_score, sanitize_line(metrics.score_name))


def settings_difference(ran: Settings, wanted: Settings) -> str:
    """How the settings of a run differ from those wanted now, such as ``training.epochs 5, now 10``; "" if not at all.

    Gates are left out: they change no number of a run, and every run is judged by the experiment's present ones.
    """
    before = flatten(msgspec.to_builtins(replace(ran, gates=wanted.gates)))
    now = flatten(msgspec.to_builtins(wanted))
    names = [name for name in dict.fromkeys((*before, *now)) if before.get(name) != now.get(name)]
    changes = [_change_text(name, before.get(name), now.get(name)) for name in names[:MAX_NAMED_SETTINGS]]
    if (more := len(names) - MAX_NAMED_SETTINGS) > 0:
        changes.append(f"{more} more")
    return "; ".join(changes)


def _change_text(name: str, before: object, now: object) -> str:
    if isinstance(before, list | tuple) or isinstance(now, list | tuple):
        return f"other {name}"
    before, now = ("none" if value is None else value for value in (before, now))
    return sanitize_line(f"{name} {before}, now {now}", limit=100)


def condition_result(experiment: Experiment, name: str, runs: Sequence[RunResult], comparable: bool) -> ConditionResult:
    """One condition over those of its ``runs`` that are counted.

    The verdict needs every seed: ``pass`` if the mean over seeds passes every gate, else ``fail``. Scores under
    different evaluation fingerprints are not averaged.
    """
    title = experiment.conditions[name].title
    counted = [run for run in runs if run.is_counted]
    heads = [run.head for run in counted if run.head is not None]
    pools = [run.mean_pool for run in counted if run.mean_pool is not None]
    if not heads or not comparable:
        return ConditionResult(name, title, len(heads), len(runs))

    top1, top3, coherence, margin = _spreads(heads)
    pool_top1, pool_top3, pool_coherence, pool_margin = (spread.mean for spread in _spreads(pools))
    gates = _judge(top1.mean, top3.mean, coherence.mean, experiment.gates)
    failed = any(not gate.passed for gate in gates)
    return ConditionResult(
        condition=name,
        title=title,
        evaluated=len(heads),
        total=len(runs),
        top1=top1,
        top3=top3,
        coherence=coherence,
        margin=margin,
        mean_pool_top1=pool_top1,
        mean_pool_top3=pool_top3,
        mean_pool_coherence=pool_coherence,
        mean_pool_margin=pool_margin,
        tiers={
            tier: _spread([head.tiers[tier].top1 for head in heads if tier in head.tiers])
            for tier in sorted({tier for head in heads for tier in head.tiers})
        },
        gates=gates,
        verdict="incomplete" if len(heads) < len(runs) else "fail" if failed else "pass",
        failed_seeds=tuple(run.seed for run in counted if any(not gate.passed for gate in run.gates)),
    )


def _judge(top1: float, top3: float, coherence: float, gates: Gates) -> tuple[GateVerdict, ...]:
    return judge({"retrieval_top1": top1, "retrieval_top3": top3, "coherence_accuracy": coherence}, gates)


def _spreads(models: Sequence[ModelScores]) -> list[Spread]:
    """Spreads over ``models`` of top-1, top-3, coherence and mean margin, in this order."""
    scores = [(model.top1, model.top3, model.coherence, model.margins.mean) for model in models]
    return [_spread(values) for values in zip(*scores, strict=True)]


def _spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation (n - 1) of at least one value; one value has no deviation."""
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


def _overall(conditions: Sequence[ConditionResult]) -> Verdict:
    """``fail`` if one condition fails, ``pass`` if all pass, else ``incomplete``."""
    verdicts = {condition.verdict for condition in conditions}
    return "fail" if "fail" in verdicts else "pass" if verdicts == {"pass"} else "incomplete"
