"""Reads the capsules at home and works the results out of their items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from console.results.aggregate import condition_result, overall
from console.results.capsule import Missing, Unusable, read_capsule
from console.results.settings_difference import difference
from console.results.summary import Results, RunResult
from console.sanitize import sanitize_line
from engine.contract.experiment import Experiment
from engine.contract.metrics import judge
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId, Settings, resolve, run_ids
from engine.contract.state import RunState
from engine.contract.state import decode as decode_state


def collect(
    experiment: Experiment,
    profile: str,
    folder: Path,
    states: Mapping[RunId, RunState | None] | None = None,
    damaged: Mapping[RunId, str] | None = None,
) -> Results:
    """The results of a profile from ``folder``, where its capsules came home.

    Args:
        states: what the host says of each run now; where it is silent, the capsule's own state counts.
        damaged: runs whose capsules are not what their manifests say, and why if known: they count for nothing.
    """
    states, damaged = states or {}, damaged or {}
    runs = tuple(
        _run_result(experiment, resolve(experiment, profile, run), folder, states.get(run), damaged.get(run))
        for run in run_ids(experiment, profile)
    )
    fingerprints = {run.eval_fingerprint for run in runs if run.counts}
    comparable = len(fingerprints) <= 1
    conditions = tuple(
        condition_result(experiment, name, [run for run in runs if run.condition == name], comparable)
        for name in dict.fromkeys(run.condition for run in runs)
    )
    return Results(experiment.name, profile, runs, conditions, comparable, overall(conditions))


def _run_result(
    experiment: Experiment, asked: Settings, folder: Path, state: RunState | None, damage: str | None
) -> RunResult:
    run = asked.run
    capsule = RunFolder(folder / str(run))
    local = _local_state(capsule)
    now = state or (local if isinstance(local, RunState) else None)
    result = RunResult(run.condition, run.seed, now.state if now else "none", sanitize_line(now.reason) if now else "")
    if damage is not None:
        return _with_problem(result, "damaged" + (f": {sanitize_line(damage)}" if damage else ""))
    if isinstance(local, str):
        return _with_problem(result, local)
    if local is None or (state is not None and local.key != state.key):
        return result if now is None or not now.ended else _with_problem(result, "not at home yet")
    try:
        settings, metrics, _, head, mean_pool = read_capsule(capsule)
    except Missing as missing:
        return result if local.state != "finished" else _with_problem(result, f"has no {missing}")
    except Unusable as error:
        return _with_problem(result, str(error))
    values = {"retrieval_top1": head.top1, "retrieval_top3": head.top3, "coherence_accuracy": head.coherence}
    return msgspec.structs.replace(
        result,
        eval_fingerprint=metrics.eval_fingerprint,
        head=head,
        mean_pool=mean_pool,
        gates=judge(values, experiment.gates),
        seconds=metrics.seconds,
        killer_set=metrics.killer_set,
        killer_top1=metrics.killer_top1,
        other_settings=difference(settings, asked),
    )


def _local_state(capsule: RunFolder) -> RunState | str | None:
    """The state that came home; what is wrong with it, where it cannot be read; None where there is none."""
    try:
        return decode_state(capsule.state.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        return sanitize_line(f"{capsule.state.name} cannot be read: {error}")


def _with_problem(result: RunResult, problem: str) -> RunResult:
    return msgspec.structs.replace(result, problem=problem)
