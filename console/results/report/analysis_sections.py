"""Sections of the decision: verdict, gates with intervals, expected outcomes, references, plan; in order with the comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from console.format import counted, metric_label
from console.results.report.comparison_sections import (
    READING_ROLES,
    bar_of,
    coverage_text,
    differences_section,
    killers_section,
    models_section,
    needs_text,
    pair_label,
    range_of,
    t_test_section,
    unit_of,
)
from console.results.report.result_sections import evaluated_runs, result_warnings
from console.results.tables import (
    Axis,
    Cell,
    Mark,
    Number,
    Role,
    Row,
    Section,
    Text,
    Unit,
    cell_text,
    header_row,
    text_cell,
)

if TYPE_CHECKING:  # numpy, which the first paint does without
    from console.results.analysis.records import Analysis, Comparison, GateResult, OutcomeResult, PlanStatus
    from console.results.next_steps.records import NextStep
    from console.results.records import Results

_OUTCOME_ROLES: dict[str, Role] = {"PASS": "pass", "FAIL": "fail", "INCONCLUSIVE": "warning", "MISSING": "muted"}
_VERDICT_ROLES: dict[str, Role] = {"ship": "pass", "do not ship": "fail"}
MOST_STEPS = 2


def verdict_section(analysis: Analysis, results: Results, steps: Sequence[NextStep] = ()) -> Section:
    """The verdict in one or two sentences, what comes next, and what makes it doubtful."""
    word, summary = analysis.verdict, analysis.summary
    if summary.lower().startswith(word):  # the sentence begins with the verdict
        summary = summary[len(word) :].lstrip(". ")
    verdict = Text(word.upper(), _VERDICT_ROLES.get(word, "warning"))
    rows: list[Row] = [((verdict, Text("  "), Text(summary)),)]
    rows += _next_rows(steps)
    rows += _resolvable_rows(analysis.comparisons)
    rows += result_warnings(results)
    rows += [(text_cell(f"! {warning}", "warning"),) for warning in analysis.warnings]
    changes = (f"! The plan has changed since the first launch: {change}" for change in analysis.plan.changes)
    rows += [(text_cell(change, "warning"),) for change in changes]
    return Section("", tuple(rows), key="verdict")


def _resolvable_rows(comparisons: Sequence[Comparison]) -> list[Row]:
    """How small a difference between conditions the evaluation shows, of each metric that was planned to be compared."""
    least: dict[str, float] = {}
    for one in comparisons:
        if one.role != "exploratory" and one.need is not None and one.need.resolvable is not None:
            least[one.metric] = max(least.get(one.metric, 0.0), one.need.resolvable)
    if not least:
        return []
    amounts = [f"{100 * value:.1f} points of {metric_label(metric)}" for metric, value in least.items()]
    return [(text_cell(f"Resolves {', '.join(amounts)}, four times in five; less may not show."),)]


def _next_rows(steps: Sequence[NextStep]) -> list[Row]:
    """The first steps that the data support, each with its reason, and how they speak of each step of the plan."""
    if not steps:
        return []
    rows: list[Row] = []
    for step in [step for step in steps if step.status == "supported"][:MOST_STEPS]:
        rows.append(((Text("      " if rows else "NEXT  ", "name"), Text(f"{step.order}. {step.title}", "name")),))
        reason = next(one.text for one in step.evidence if one.side == "for")
        rows.append((text_cell(f"        {reason}"),))
    rows = rows or [((Text("NEXT  ", "name"), Text("no step is supported by the data")),)]
    if planned := [f"{step.order}. {step.title}: {step.status}" for step in steps if step.is_planned]:
        rows.append((text_cell(f"      of the plan: {'; '.join(planned)}", "muted"),))
    return rows


def decision_sections(analysis: Analysis, results: Results) -> tuple[Section, ...]:
    """Gates, differences, expected outcomes and t-tests: what the verdict rests on."""
    planned = [one for one in analysis.comparisons if one.role != "exploratory"]
    title = f"Differences, {coverage_text(one.recipe for one in planned)} for new lemmas and new seeds (points)"
    sections = (
        _gates(analysis.gates, cell_text(evaluated_runs(results))),
        differences_section(planned, title, "differences"),
        _outcomes(analysis.outcomes),
        t_test_section([one for one in planned if one.role == "confirmatory"], "Paired t-tests over seeds", "t-tests"),
    )
    return tuple(section for section in sections if section.rows)


def detail_sections(analysis: Analysis) -> tuple[Section, ...]:
    """Tables for reference: exploratory differences, these trained models, killers, references, the plan."""
    others = [one for one in analysis.comparisons if one.role == "exploratory"]
    rest = [one for one in analysis.comparisons if one.role != "confirmatory"]
    sections = (
        references_section(analysis.gates),
        differences_section(others, "Further differences, exploratory (points; margin: cosine)", "exploratory"),
        models_section(analysis.comparisons),
        t_test_section(rest, "Further paired t-tests over seeds", "further-t-tests"),
        killers_section(analysis.comparisons),
        _plan(analysis.plan, analysis.results_fingerprint),
    )
    return tuple(section for section in sections if section.rows)


def _gates(gates: Sequence[GateResult], runs: str) -> Section:
    """Each gate with its interval; what makes gates doubtful is said under the verdict."""
    rows: list[Row] = []
    previous = ""
    for one in gates:
        role = _OUTCOME_ROLES[one.outcome]
        marks = (Mark("c", one.chance), Mark("^", one.ceiling), Mark("m", one.mean_pool), Mark("|", one.threshold))
        mean = None if one.interval is None else one.interval.mean
        items = None if one.interval is None else one.interval.items
        rows.append(
            (
                text_cell("" if one.condition == previous else one.condition, "name"),
                text_cell(metric_label(one.gate)),
                (Text("≥ "), Number(one.threshold, "threshold")),
                (bar_of(one.interval, 0.0, 1.0, marks, role),),
                (Number(mean, n=items),),
                (range_of(one.interval, "percent", shows_mean=False),),
                (Text(one.outcome, role),),
                (Number(one.fail_p, "p"),),
                (Number(items, "count"),),
            )
        )
        previous = one.condition
        if one.outcome == "INCONCLUSIVE" and one.need is not None:
            rows.append((text_cell(""), text_cell(needs_text(one.need, "points"), "muted")))
    legend = "| threshold  c chance  m frozen mean pooling  ^ ceiling of this evaluation"
    header = (
        *header_row("", "metric", "gate"),
        (Axis(),),
        *header_row("mean", coverage_text(one.interval for one in gates), "verdict", "p (fails)", "items"),
    )
    return Section(
        f"Ship blockers   {runs}", tuple(rows), header, "gates", optional=(7, 8), legend=legend if rows else ""
    )


def _outcomes(outcomes: Sequence[OutcomeResult]) -> Section:
    rows: list[Row] = []
    for one in outcomes:
        pair = pair_label(one.condition, one.over)
        rows.append(
            (
                text_cell(pair, "name"),
                text_cell(metric_label(one.metric)),
                _expected(one.least, one.most, unit_of(one.metric)),
                (range_of(one.interval, unit_of(one.metric)),),
                (Text(one.reading, READING_ROLES.get(one.reading, "warning")),),
            )
        )
    return Section(
        "Expected outcomes (points)",
        tuple(rows),
        header_row("", "metric", "expected", "came out", "reading"),
        "outcomes",
    )


def _expected(least: float | None, most: float | None, unit: Unit) -> Cell:
    if least is None:
        return (Text("≤ "), Number(most, unit))
    if most is None:
        return (Text("≥ "), Number(least, unit))
    return (Number(least, unit), Text(" to "), Number(most, unit))


def references_section(gates: Sequence[GateResult]) -> Section:
    """The baselines' scores on the items of each gate, once for the conditions that share them."""
    found: dict[tuple[object, ...], list[str]] = {}
    for one in gates:
        numbers = (one.chance, one.word_overlap, one.mean_pool, one.ceiling)
        found.setdefault((one.gate, one.threshold, *numbers), []).append(one.condition)
    rows = tuple(
        (
            text_cell(metric_label(str(gate)), "name"),
            text_cell(", ".join(names)),
            (Number(threshold, "threshold"),),  # type: ignore[arg-type]
            *((Number(number),) for number in numbers),  # type: ignore[arg-type]
        )
        for (gate, threshold, *numbers), names in found.items()
        if any(number is not None for number in numbers)
    )
    header = header_row("ship blocker", "conditions", "gate", "chance", "word overlap", "mean pooling", "ceiling")
    return Section("What needs no training, on the same items", rows, header, "references")


def _plan(plan: PlanStatus, results_fingerprint: str) -> Section:
    looks = Text(f" after {counted(plan.looks, 'look')} at results")
    rows: list[Row] = [((Text("level    "), Number(plan.level, "p"), looks),)]
    if plan.fingerprint:
        rows.append((text_cell(f"plan     {plan.fingerprint}, written {plan.written_at}"),))
    if results_fingerprint:
        rows.append((text_cell(f"results  {results_fingerprint}"),))
    return Section("Plan and fingerprints", tuple(rows), key="plan")
