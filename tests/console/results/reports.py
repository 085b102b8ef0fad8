"""A report with every kind of row, its numbers around those of given results; nothing in it is computed from items."""

from __future__ import annotations

from typing import Any

import msgspec

from console.results.analysis.records import (
    MEAN_POOL,
    Analysis,
    Comparison,
    GateOutcome,
    GateResult,
    OutcomeResult,
    PlanStatus,
)
from console.results.experiment_report import ExperimentReport
from console.results.records import ConditionResult, Results
from console.results.report.page import json_fields, page, sections_text
from console.results.report.result_sections import result_sections
from console.results.statistics.estimates import Interval, LemmaTest, McNemar, Need, PairedT
from console.results.tables import LINE_WIDTH

NEED = Need(settled=False, resolvable=0.03, seeds_floor=0.019, items=1400)
SUMMARY = "Do not ship. Coherence fails in every condition; no condition differs from another beyond noise."


def interval(mean: float, half: float = 0.02) -> Interval:
    return Interval(mean, mean - half, mean + half, half / 2, "bootstrap", 3, 277, 663)


def report_on(
    results: Results, summary: str = SUMMARY, warning: str = "the gate is below chance (54.8)"
) -> ExperimentReport:
    scored = [one for one in results.conditions if one.top1 is not None]
    gates = tuple(gate for one in scored for gate in _gates(one, warning))
    passed = [one.condition for one in scored if all(gate.passed for gate in one.gates)]
    analysis = Analysis(
        verdict="ship" if passed else "do not ship",
        summary=summary,
        shippable=tuple(passed),
        gates=gates,
        comparisons=_comparisons([one.condition for one in scored]),
        outcomes=(
            OutcomeResult("B", "A", "retrieval_top1", 0.02, 0.05, interval(-0.008), "missed"),
            OutcomeResult("B", "A", "tier1_easy", -0.02, None, interval(-0.01), "undecided"),
        ),
        plan=PlanStatus("f" * 64, "2026-01-02T03:04:05Z", ("retrieval_top1 0.3, now 0.25",), 2, 0.025),
        warnings=(warning, "Each is one observation: A/42 and A/123 have identical items."),
        results_fingerprint="e" * 64,
    )
    return ExperimentReport(results, analysis)


def _gates(one: ConditionResult, warning: str) -> list[GateResult]:
    gates = []
    for gate in one.gates:
        if gate.value is None:
            continue
        near = abs(gate.value - gate.threshold) < 0.02
        outcome: GateOutcome = "INCONCLUSIVE" if near else "PASS" if gate.passed else "FAIL"
        gates.append(
            GateResult(
                one.condition,
                gate.gate,
                gate.threshold,
                outcome,
                interval(gate.value),
                gate.passed,
                0.0123,
                0.25,
                0.31,
                0.45,
                0.97,
                (warning,) if gate.gate == "retrieval_top3" else (),
                NEED,
            )
        )
    return gates


def _comparisons(conditions: list[str]) -> tuple[Comparison, ...]:
    pairs = list(zip(conditions[1:], conditions, strict=False))
    test = PairedT(
        (42, 123, 456), (-0.02, 0.01, -0.014), -0.008, 0.016, -0.87, 2, 0.476, -0.4, 3.3, -0.9, 3.1, 0.43, 0.95
    )
    comparisons = [
        Comparison(
            ours,
            theirs,
            "retrieval_top1",
            "confirmatory",
            "not told apart",
            interval(-0.008),
            LemmaTest(interval(-0.008, 0.015), 0.21),
            0.46,
            0.92,
            "Holm over 2",
            probability=0.33,
            paired_t=test,
            need=NEED,
        )
        for ours, theirs in pairs
    ]
    comparisons += [
        Comparison(ours, theirs, "tier1_easy", "non-inferiority", "not worse", interval(0.001), p=0.01, margin=0.02)
        for ours, theirs in pairs
    ]
    comparisons += [
        Comparison(one, MEAN_POOL, "margin", "exploratory", "better", interval(0.012, 0.004), p=0.0004)
        for one in conditions
    ]
    if pairs:
        ours, theirs = pairs[0]
        killers = Comparison(
            ours, theirs, "killers", "exploratory", "identical", interval(0.0), mcnemar=McNemar(5, 10, 0.302)
        )
        comparisons.append(killers)
    return tuple(comparisons)


def as_printed(results: Results, report: ExperimentReport | None = None) -> Any:
    """The fields of the JSON that ``results --json`` prints, decoded."""
    return msgspec.json.decode(msgspec.json.encode(json_fields(results, report)))


def as_text(results: Results, report: ExperimentReport | None = None, width: int = LINE_WIDTH) -> str:
    """The page that view 4 shows, without styles."""
    return sections_text(result_sections(results) if report is None else page(results, report), width)
