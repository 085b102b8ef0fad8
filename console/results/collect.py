"""Reads the capsules at home and works the results out of their items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import polars as pl

from console.results.aggregate import condition_result, overall
from console.results.scores import read_items, score_line
from console.results.summary import Results, RunResult, ScoreLine
from console.sanitize import sanitize_line
from engine.contract import metrics as metrics_file
from engine.contract.experiment import Experiment, RunId, run_ids
from engine.contract.metrics import judge
from engine.contract.run_folder import RunFolder
from engine.contract.state import RunState
from engine.contract.state import decode as decode_state


def collect(
    experiment: Experiment, profile: str, folder: Path, states: Mapping[RunId, RunState | None] | None = None
) -> Results:
    """The results of a profile from ``folder``, where its capsules came home.

    Args:
        states: what the host says of each run now; where it is silent, the capsule's own state counts.
    """
    runs = tuple(_run_result(experiment, folder, run, (states or {}).get(run)) for run in run_ids(experiment, profile))
    fingerprints = {run.eval_fingerprint for run in runs if run.head}
    comparable = len(fingerprints) <= 1
    conditions = tuple(
        condition_result(experiment, name, [run for run in runs if run.condition == name], comparable)
        for name in dict.fromkeys(run.condition for run in runs)
    )
    return Results(experiment.name, profile, runs, conditions, comparable, overall(conditions))


def _run_result(experiment: Experiment, folder: Path, run: RunId, state: RunState | None) -> RunResult:
    capsule = RunFolder(folder / str(run))
    local = _local_state(capsule)
    now = state or local
    result = RunResult(run.condition, run.seed, now.state if now else "none", sanitize_line(now.reason) if now else "")
    if local is None or (state is not None and local.key != state.key):
        return result if now is None or not now.ended else _with_problem(result, "not at home yet")
    try:
        metrics = metrics_file.decode(capsule.metrics.read_bytes())
        items = read_items(capsule.items)
        head, mean_pool = score_line(items, "head"), score_line(items, "mean_pool")
    except FileNotFoundError:
        return result if not local.ended or local.state != "finished" else _with_problem(result, "has no metrics")
    except (OSError, msgspec.MsgspecError, pl.exceptions.PolarsError, ValueError) as error:
        return _with_problem(result, sanitize_line(str(error)))
    if problem := _disagreement(head, metrics.head):
        return _with_problem(result, problem)
    values = {"retrieval_top1": head.top1, "retrieval_top3": head.top3, "coherence_accuracy": head.coherence}
    return msgspec.structs.replace(
        result,
        eval_fingerprint=metrics.eval_fingerprint,
        head=head,
        mean_pool=mean_pool,
        gates=judge(values, experiment.gates),
        seconds=metrics.seconds,
    )


def _local_state(capsule: RunFolder) -> RunState | None:
    try:
        return decode_state(capsule.state.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


def _with_problem(result: RunResult, problem: str) -> RunResult:
    return msgspec.structs.replace(result, problem=problem)


def _disagreement(ours: ScoreLine, theirs: metrics_file.Scores) -> str:
    """The engine's aggregates must be what its items say; "" if they are."""
    pairs = (
        ("top-1", ours.top1, theirs.retrieval_top1),
        ("top-3", ours.top3, theirs.retrieval_top3),
        ("coherence", ours.coherence, theirs.coherence_accuracy),
    )
    for name, from_items, stated in pairs:
        if not abs(from_items - stated) < 1e-6:
            return f"metrics.json says {name} {stated:.4f}, its items say {from_items:.4f}"
    return ""
