"""Sections of the results: verdict, means, ship blockers on the mean over seeds, tiers, runs, chosen heads."""

from __future__ import annotations

from collections.abc import Sequence

from console.format import GATE_LABELS, counted, differences_text, run_label
from console.results.records import ConditionResult, Results, RunResult, Spread, Verdict
from console.results.tables import Cell, Number, Row, Section, Text, Unit, header_row, text_cell
from engine.contract.experiment import TIERS
from engine.contract.metrics import GATE_NAMES
from engine.contract.settings import RunId

RUN_LABEL_WIDTH = 18


def result_sections(results: Results) -> tuple[Section, ...]:
    """The page of results without intervals: verdict and warnings, means, ship blockers, tiers, runs."""
    sections = (
        _summary(results),
        _means(results.conditions),
        _gates(results.conditions),
        _tiers(results),
        _runs(results),
        _chosen(results.runs),
    )
    return tuple(section for section in sections if section.rows)


def _verdict(verdict: Verdict) -> Text:
    return Text(verdict.upper(), "warning" if verdict == "incomplete" else verdict)


def _spread(spread: Spread | None, unit: Unit = "percent") -> Cell:
    return (Number(None),) if spread is None else (Number(spread.mean, unit, spread.sd),)


def evaluated_runs(results: Results) -> Cell:
    """How many runs were evaluated, of which experiment."""
    evaluated = sum(run.is_counted for run in results.runs)
    return (Text(f"{evaluated} of {len(results.runs)} runs evaluated   {results.experiment}, {results.profile}"),)


def result_warnings(results: Results) -> tuple[Row, ...]:
    """Warnings about runs that are missing, are not counted, or cannot be compared."""
    rows: list[Row] = []
    if others := sum(bool(run.other_settings) for run in results.runs):
        warning = f"! Left out of the means: {counted(others, 'run')} with settings other than the experiment's."
        rows.append((text_cell(warning, "warning"),))
    if not results.comparable:
        warning = "! Runs were scored on different evaluation data: their numbers must not be compared."
        rows.append((text_cell(warning, "fail"),))
    return tuple(rows)


def _summary(results: Results) -> Section:
    """What there is before the report: no verdict yet, as that is by intervals and not by means."""
    first = (Text("No verdict yet, only means", "name"), Text("   "), *evaluated_runs(results))
    return Section("", ((first,), *result_warnings(results)), key="verdict")


def _means(conditions: Sequence[ConditionResult]) -> Section:
    rows: list[Row] = []
    pooled = [_pooled(one) for one in conditions if one.mean_pool_top1 is not None]
    is_one = len(pooled) > 1 and all(row == pooled[0] for row in pooled)
    for one in conditions:
        seeds = (Number(one.evaluated, "count"), Text("/"), Number(one.total, "count"))
        scores = (_spread(one.top1), _spread(one.top3), _spread(one.coherence), _spread(one.margin, "cosine"))
        rows.append((text_cell(one.condition, "name"), seeds, *scores))
        if one.mean_pool_top1 is not None and not is_one:
            rows.append((text_cell("  mean pooling", "muted"), (), *_pooled(one)))
    if is_one:
        rows.append((text_cell("mean pooling", "muted"), (), *pooled[0]))
    title = "Mean over seeds ± standard deviation, in percent (margin: cosine)"
    header = header_row("condition", "seeds", "top-1", "top-3", "coherence", "margin")
    return Section(title, tuple(rows), header, "means")


def _pooled(one: ConditionResult) -> Row:
    """Frozen mean pooling of the condition's states: top-1, top-3, coherence, margin."""
    means = (one.mean_pool_top1, one.mean_pool_top3, one.mean_pool_coherence)
    return *((Number(mean, role="muted"),) for mean in means), (Number(one.mean_pool_margin, "cosine", role="muted"),)


def _gates(conditions: Sequence[ConditionResult]) -> Section:
    header = {gate: text_cell(GATE_LABELS[gate], "muted") for gate in GATE_NAMES}
    rows: list[Row] = []
    for one in conditions:
        cells = dict.fromkeys(GATE_NAMES, text_cell("not yet", "muted"))
        for gate in one.gates:
            threshold = Number(gate.threshold, "threshold", role="muted")
            header[gate.gate] = (Text(f"{GATE_LABELS[gate.gate]} ≥ ", "muted"), threshold)
            cells[gate.gate] = (_verdict("pass" if gate.passed else "fail"), Text(" "), Number(gate.value))
        rows.append((text_cell(one.condition, "name"), *cells.values(), (_verdict(one.verdict),)))
        if one.failed_seeds:
            seeds = ", ".join(map(str, one.failed_seeds))
            rows.append((text_cell(f"  seeds that fail on their own: {seeds}", "warning"),))
    title = "Ship blockers, by the mean over seeds alone"
    names = (*header_row("condition"), *header.values(), *header_row("mean passes"))
    return Section(title, tuple(rows), names, "mean-gates")


def _tiers(results: Results) -> Section:
    conditions = [one for one in results.conditions if one.tiers]
    tiers = [*TIERS, *sorted({tier for one in conditions for tier in one.tiers} - set(TIERS))]
    heads = [run.head for run in results.runs if run.is_counted and run.head is not None]
    counts = {tier: {head.tiers[tier].items for head in heads if tier in head.tiers} for tier in tiers}
    rows: list[Row] = [
        (text_cell(one.condition, "name"), *(_tier_spread(one.tiers.get(tier)) for tier in tiers)) for one in conditions
    ]
    if rows and all(len(items) <= 1 for items in counts.values()):
        items = tuple((Number(next(iter(counts[tier]), None), "count", role="muted"),) for tier in tiers)
        rows.append((text_cell("items", "muted"), *items))
    return Section("Top-1 by tier, in percent", tuple(rows), header_row("condition", *tiers), "tiers")


def _tier_spread(spread: Spread | None) -> Cell:
    """Without a deviation of 0, which few items that all fail have, too."""
    return (Number(None),) if spread is None else (Number(spread.mean, "percent", spread.sd or None),)


def _runs(results: Results) -> Section:
    header = ["run", "state", "top-1", "top-3", "coherence", "margin", "p5", "p95"]
    if any(run.killer_top1 is not None for run in results.runs):
        header.append("killers")
    rows: list[Row] = []
    for one in results.conditions:
        rows.append(((Text(one.condition, "name"), Text(f"  {one.title}")),))
        if one.differences:
            rows.append((text_cell(f"  {differences_text(one.differences)}", "muted"),))
        rows += [row for run in results.runs if run.condition == one.condition for row in _run(run)]
    return Section("Runs", tuple(rows), header_row(*header), "runs")


def _run(run: RunResult) -> list[Row]:
    """The run's scores, or why it has none, and below them what to know about them."""
    state = "not launched" if run.state == "none" else run.state
    row: Row = (text_cell(run_label(RunId(run.condition, run.seed), RUN_LABEL_WIDTH)), text_cell(state))
    notes = [text_cell(note) for note in (run.reason, run.problem) if note]
    if run.other_settings:
        notes.append(text_cell(f"! other settings, left out: {run.other_settings}", "warning"))
    if run.head is None:
        row, notes = (*row, *notes[:1]), notes[1:]
    else:
        margins = run.head.margins
        row += tuple((Number(score),) for score in (run.head.top1, run.head.top3, run.head.coherence))
        row += tuple((Number(margin, "cosine"),) for margin in (margins.mean, margins.p5, margins.p95))
        if run.killer_top1 is not None:
            row += ((Number(run.killer_top1), Text("% of "), Number(run.killer_set, "count")),)
    return [row, *((text_cell(""), note) for note in notes)]


def _chosen(runs: Sequence[RunResult]) -> Section:
    """Which of the heads measured in each run was evaluated; below runs that were chosen by the same score, by which."""
    chosen = [(run, run.chosen) for run in runs if run.chosen is not None]
    rows: list[Row] = []
    for at, (run, one) in enumerate(chosen, start=1):
        label = run_label(RunId(run.condition, run.seed), RUN_LABEL_WIDTH)
        drawn = text_cell("-" if run.tier3_exposures is None else f"{run.tier3_exposures:.1f}")
        numbers: Row = ((Number(one.step, "count"),), text_cell(f"{one.epoch:.1f}"), (Number(one.score),), drawn)
        rows.append((text_cell(label), *numbers))
        if at == len(chosen) or chosen[at][1].score_name != one.score_name:
            rows.append((text_cell(f"  by {one.score_name}", "muted"),))
    header = header_row("run", "at step", "epoch", "score", "draws of a tier3 bundle")
    return Section("Head of each run, chosen on development data", tuple(rows), header, "heads")
