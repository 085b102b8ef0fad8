"""The results as JSON for programs and as plain text for people."""

from __future__ import annotations

from typing import Any

import msgspec

from console.format import counted
from console.results.summary import ConditionResult, Results, RunResult, Spread
from engine.contract.metrics import GateVerdict


def as_json(results: Results) -> str:
    """One JSON object; a number that does not exist is null."""
    body = {
        "experiment": results.experiment,
        "profile": results.profile,
        "verdict": results.verdict,
        "comparable": results.comparable,
        "runs": [_run(run) for run in results.runs],
        "conditions": [msgspec.to_builtins(condition) for condition in results.conditions],
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()


def _run(run: RunResult) -> dict[str, Any]:
    """A run with its scores at the top level; null where it has none."""
    whole: dict[str, Any] = msgspec.to_builtins(run)
    head = whole.pop("head") or dict.fromkeys(("top1", "top3", "coherence", "margins", "tiers"))
    return {**whole, **head}


def as_text(results: Results) -> str:
    """The verdict, a block a condition, a line a run."""
    lines = [f"{results.experiment} · {results.profile} · {results.verdict.upper()}"]
    if not results.comparable:
        lines.append("Runs were scored under different evaluation fingerprints: they are not compared.")
    if others := sum(bool(run.other_settings) for run in results.runs):
        lines.append(f"{counted(others, 'run')} at home of other settings than the experiment has now: left out below.")
    for condition in results.conditions:
        lines += ["", *_condition_lines(condition)]
        lines += [_run_line(run) for run in results.runs if run.condition == condition.condition]
    return "\n".join(lines)


def _condition_lines(condition: ConditionResult) -> list[str]:
    title = f"{condition.condition}  {condition.title}: {condition.verdict.upper()}"
    lines = [f"{title} ({condition.evaluated} of {condition.total} runs)"]
    if condition.top1 and condition.top3 and condition.coherence and condition.margin:
        lines.append(
            f"   top-1 {_percent(condition.top1)}  top-3 {_percent(condition.top3)}  "
            f"coherence {_percent(condition.coherence)}  margin {condition.margin.mean:+.3f}"
        )
        lines += [f"   {_gate(gate)}" for gate in condition.gates]
        lines += [f"   → {step.title}: {step.advice}" for step in condition.contingency]
    return lines


def _run_line(run: RunResult) -> str:
    line = f"   {run.condition}/{run.seed}  {run.state}"
    if run.head:
        line += f"  top-1 {run.head.top1:.1%}  top-3 {run.head.top3:.1%}  coherence {run.head.coherence:.1%}"
    if run.killer_top1 is not None:
        line += f"  killers {run.killer_top1:.1%} of {run.killer_set}"
    other = f"other settings: {run.other_settings}" if run.other_settings else ""
    return line + "".join(f"  ({note})" for note in (run.reason, run.problem, other) if note)


def _gate(gate: GateVerdict) -> str:
    value = "unmeasured" if gate.value is None else f"{gate.value:.1%}"
    return f"{'pass' if gate.passed else 'FAIL'}  {gate.gate} {value} (at least {gate.threshold:.0%})"


def _percent(spread: Spread) -> str:
    return f"{spread.mean:.1%}" + (f" ± {spread.sd:.1%}" if spread.sd is not None else "")
