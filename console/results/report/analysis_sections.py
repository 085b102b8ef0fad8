"""Sections of the decision: verdict, gates with intervals, differences, expected outcomes, t-tests, plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from console.format import counted, metric_label
from console.results.report.result_sections import evaluated_runs, result_warnings
from console.results.tables import (
    Axis,
    Bar,
    Cell,
    Mark,
    Number,
    Range,
    Role,
    Row,
    Section,
    Text,
    Unit,
    cell_text,
    header_row,
    text_cell,
)
from engine.contract.experiment import TIERS

if TYPE_CHECKING:  # numpy, which the first paint does without
    from console.results.analysis.records import Analysis, Comparison, GateResult, OutcomeResult, PlanStatus
    from console.results.next_steps.records import NextStep
    from console.results.records import Results
    from console.results.statistics.estimates import Interval, Need, PairedT

MEAN_POOL_LABEL = "pooling"
_OUTCOME_ROLES: dict[str, Role] = {"PASS": "pass", "FAIL": "fail", "INCONCLUSIVE": "warning", "MISSING": "muted"}
_READING_ROLES: dict[str, Role] = {
    "better": "pass",
    "not worse": "pass",
    "worse": "fail",
    "undecided": "warning",
    "identical": "warning",
    "missing": "muted",
    "met": "pass",
    "exceeded": "pass",
    "missed": "fail",
}
_VERDICT_ROLES: dict[str, Role] = {"ship": "pass", "do not ship": "fail"}
MOST_STEPS = 2
_TICK_STEPS = (0.01, 0.02, 0.04, 0.05, 0.1, 0.2, 0.25)


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
    return [(text_cell(f"Resolves {', '.join(amounts)}, four times in five; less is noise."),)]


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
    title = "Differences, 95% for new lemmas and new seeds (points)"
    sections = (
        _gates(analysis.gates, cell_text(evaluated_runs(results))),
        differences_section(planned, title, "differences"),
        _outcomes(analysis.outcomes),
        t_test_section([one for one in planned if one.role == "confirmatory"], "Paired t-tests over seeds", "t-tests"),
    )
    return tuple(section for section in sections if section.rows)


def detail_sections(analysis: Analysis) -> tuple[Section, ...]:
    """What one looks up: exploratory differences, these trained models, killers, references, the plan."""
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


def comparison_sections(comparisons: Sequence[Comparison]) -> tuple[Section, ...]:
    """Everything about the comparisons of one pair of conditions."""
    title = "Is this recipe better? 95% for new lemmas and new seeds (points; margin: cosine)"
    sections = (
        differences_section(comparisons, title, "differences"),
        models_section(comparisons),
        t_test_section(comparisons, "Paired t-tests over seeds", "t-tests"),
        killers_section(comparisons),
    )
    return tuple(section for section in sections if section.rows)


def pair_label(ours: str, theirs: str) -> str:
    """``B − A``, or ``A − pooling``."""
    return f"{_name(ours)} − {_name(theirs)}"


def _name(condition: str) -> str:
    return MEAN_POOL_LABEL if condition == "mean_pool" else condition


def _unit(metric: str) -> Unit:
    return "gain" if metric == "margin" else "points"


def _range(interval: Interval | None, unit: Unit, *, shows_mean: bool = True) -> Range:
    if interval is None:
        return Range(None, None, None, unit, shows_mean)
    return Range(interval.low, interval.mean, interval.high, unit, shows_mean, n=interval.items)


def _bar(interval: Interval | None, start: float, end: float, marks: tuple[Mark, ...], role: Role) -> Bar:
    if interval is None:
        return Bar(None, None, None, start, end, marks)
    return Bar(interval.low, interval.mean, interval.high, start, end, marks, role)


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
                (_bar(one.interval, 0.0, 1.0, marks, role),),
                (Number(mean, n=items),),
                (_range(one.interval, "percent", shows_mean=False),),
                (Text(one.outcome, role),),
                (Number(one.fail_p, "p"),),
                (Number(items, "count"),),
            )
        )
        previous = one.condition
        if one.outcome == "INCONCLUSIVE" and one.need is not None:
            rows.append((text_cell(""), text_cell(_need_text(one.need, "points"), "muted")))
    legend = "| threshold  c chance  m frozen mean pooling  ^ ceiling of this evaluation"
    header = (
        *header_row("", "metric", "gate"),
        (Axis(),),
        *header_row("mean", "95%", "verdict", "p (fails)", "items"),
    )
    return Section(
        f"Ship blockers   {runs}", tuple(rows), header, "gates", optional=(7, 8), legend=legend if rows else ""
    )


def _need_text(need: Need, unit: Unit) -> str:
    from console.results.statistics.variance import need_text

    return f"needs: {need_text(need, 'points' if unit == 'points' else 'cosine')}"


def differences_section(comparisons: Sequence[Comparison], title: str, key: str) -> Section:
    """Recipes compared: difference with interval, what it says, and for planned ones what would settle it."""
    limit, axis = _points_axis([one for one in comparisons if one.metric not in ("margin", *TIERS[1:])])
    rows: list[Row] = []
    for above, label, one in _labelled(comparisons):
        unit = _unit(one.metric)
        role = _READING_ROLES.get(one.reading, "plain")
        marks = (Mark("|", 0.0), Mark(":", -one.margin if one.margin is not None else None))
        rows += above
        rows.append(
            (
                label,
                (_bar(one.recipe, -limit, limit, marks, role),) if unit == "points" else (),
                (_range(one.recipe, unit),),
                (Text(one.reading, role),),
                (Number(one.p, "p"),),
                (Number(one.adjusted_p, "p"), Text(f" {one.adjustment}" if one.adjusted_p is not None else "")),
                (Number(one.probability),),
            )
        )
        rows += [(text_cell(""), text_cell(note, "muted")) for note in _notes(one)]
    has_margins = any(one.margin is not None for one in comparisons)
    legend = "| no difference  : the margin that a loss must not reach" if has_margins else ""
    names = header_row("Δ [95%]", "reading", "p", "adjusted p", "ours above, % of seed pairs")
    return Section(title, tuple(rows), (*header_row(""), (axis,), *names), key, optional=(4, 5, 6), legend=legend)


def _labelled(comparisons: Sequence[Comparison]) -> Iterator[tuple[list[Row], Cell, Comparison]]:
    """Each comparison with its label and the row above it: pairs with several metrics in a row have one of their own."""
    for pair, of_pair in groupby(comparisons, key=lambda one: pair_label(one.ours, one.theirs)):
        group = list(of_pair)
        for at, one in enumerate(group):
            if len(group) == 1:
                yield [], (Text(f"{pair}  ", "name"), Text(metric_label(one.metric))), one
            else:
                above: list[Row] = [] if at else [(text_cell(pair, "name"),)]
                yield above, text_cell(f"  {metric_label(one.metric)}"), one


def _notes(one: Comparison) -> list[str]:
    notes = []
    is_open = one.role != "exploratory" and one.reading in ("not told apart", "undecided")
    if is_open and one.need is not None and not one.need.settled:
        notes.append(_need_text(one.need, _unit(one.metric)))
    if one.identical_seeds:
        notes.append(f"! one observation, not several: {', '.join(one.identical_seeds)}")
    return notes


def _points_axis(comparisons: Iterable[Comparison]) -> tuple[float, Axis]:
    """Half the width of an axis that holds every interval, and the axis."""
    known = [one.recipe for one in comparisons if one.recipe is not None]
    ends = [abs(end) for one in known for end in (one.low, one.mean, one.high) if end is not None]
    largest = max(ends, default=0.02)
    step = next((step for step in _TICK_STEPS if 2 * step >= largest), 0.5)
    return 2 * step, Axis((-2 * step, -step, 0.0, step, 2 * step), -2 * step, 2 * step, "points")


def _outcomes(outcomes: Sequence[OutcomeResult]) -> Section:
    rows: list[Row] = []
    for one in outcomes:
        pair = pair_label(one.condition, one.over)
        rows.append(
            (
                text_cell(pair, "name"),
                text_cell(metric_label(one.metric)),
                _expected(one.least, one.most, _unit(one.metric)),
                (_range(one.interval, _unit(one.metric)),),
                (Text(one.reading, _READING_ROLES.get(one.reading, "warning")),),
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


def t_test_section(comparisons: Sequence[Comparison], title: str, key: str) -> Section:
    """The paired t-tests, each with its differences by seed and Welch's test beside it."""
    rows: list[Row] = []
    for above, label, one in _labelled([one for one in comparisons if one.paired_t is not None]):
        unit, test = _unit(one.metric), one.paired_t
        assert test is not None
        rows += above
        numbers = (
            Number(test.pairs, "count"),
            Number(test.mean, unit, test.deviation),
            Number(test.t, "signed"),
            Number(test.freedom, "count"),
            Number(test.p, "p"),
            Number(test.holm_p, "p"),
            Number(test.effect, "signed"),
            Number(test.welch_t, "signed"),
            Number(test.welch_freedom, "decimal"),
            Number(test.welch_p, "p"),
        )
        rows.append((label, *((number,) for number in numbers)))
        raw: list[Text | Number] = [Text("by seed: ", "muted")]
        for seed, difference in zip(test.seeds, test.differences, strict=True):
            raw += [Text(f"{seed} ", "muted"), Number(difference, unit, role="muted"), Text("  ", "muted")]
        rows.append((text_cell(""), tuple(raw)))
        if test.note:
            rows.append((text_cell(""), text_cell(test.note, "muted")))
    rows += [
        (text_cell(sentence),)
        for sentence in _t_sentences([one.paired_t for one in comparisons if one.paired_t is not None])
    ]
    names = ("n", "difference ± sd", "t", "df", "p", "Holm p", "d_z", "Welch t", "Welch df", "Welch p")
    return Section(title, tuple(rows), header_row("", *names), key, optional=(8, 9))


def _t_sentences(tests: Sequence[PairedT]) -> list[str]:
    """What so few pairs can find, once for each number of them."""
    found = {test.pairs: test.detectable for test in tests if test.detectable is not None}
    return [
        f"With {counted(pairs, 'pair')} of seeds this test finds an effect four times in five only where it is "
        f"{detectable:.1f} standard deviations of the differences: no finding here is no proof of no difference. "
        "It is about just these items: a finding may not hold for other lemmas."
        for pairs, detectable in found.items()
    ]


def models_section(comparisons: Sequence[Comparison]) -> Section:
    """The trained models themselves compared, which says nothing about other seeds."""
    rows: list[Row] = []
    for one in comparisons:
        if one.models is None:
            continue
        rows.append(
            (
                text_cell(pair_label(one.ours, one.theirs), "name"),
                text_cell(metric_label(one.metric)),
                (_range(one.models.interval, _unit(one.metric)),),
                (Number(one.models.p, "p"),),
                (Number(one.models.interval.items, "count"),),
                (Number(one.models.interval.lemmas, "count"),),
            )
        )
    title = "Are these trained models better on new lemmas? Seeds averaged, signs of whole lemmas flipped"
    return Section(title, tuple(rows), header_row("", "metric", "Δ [95%]", "p", "items", "lemmas"), "models")


def killers_section(comparisons: Sequence[Comparison]) -> Section:
    """Killers that a majority of seeds gets right in one condition only."""
    rows: list[Row] = []
    for one in comparisons:
        if (test := one.mcnemar) is None:
            continue
        rows.append(
            (
                text_cell(pair_label(one.ours, one.theirs), "name"),
                text_cell(metric_label(one.metric)),
                (Number(test.ours_only, "count"),),
                (Number(test.theirs_only, "count"),),
                (Number(test.p, "p"),),
            )
        )
    title = "Items that a majority of seeds gets right in one condition only (McNemar)"
    return Section(title, tuple(rows), header_row("", "metric", "fixed", "broken", "p"), "mcnemar")


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
