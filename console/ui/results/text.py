"""The results as a page of text: aggregates beside mean pooling, ship blockers, tiers, contingency, seeds."""

from __future__ import annotations

from textual.content import Content

from console.format import counted, number, percent
from console.results.summary import Results, RunResult, Spread
from console.ui.runs.state_text import SHORT_GATES
from engine.contract.experiment import TIERS
from engine.contract.metrics import GATE_NAMES, GateVerdict

_VERDICTS = {
    "pass": ("PASS", "bold $text-success"),
    "fail": ("FAIL", "bold $text-error"),
    "incomplete": ("INCOMPLETE", "bold $text-warning"),
}
_WIDTHS = (15, 6, 13, 13, 13, 15)


def results_text(results: Results) -> Content:
    """The page."""
    done = sum(run.counts for run in results.runs)
    word, style = _VERDICTS[results.verdict]
    head = Content.assemble(
        "Verdict: ",
        (word, style),
        f"   {done} of {len(results.runs)} runs evaluated   {results.experiment}, {results.profile}",
    )
    blocks = [[head], _aggregates(results), _gates(results), _tiers(results), _contingency(results), _seeds(results)]
    if not results.comparable:
        warning = "Runs were scored on different evaluation data: their numbers must not be compared."
        blocks.insert(1, [Content.styled(f"! {warning}", "bold $text-error")])
    if others := sum(bool(run.other_settings) for run in results.runs):
        warning = (
            f"{counted(others, 'run')} at home of other settings than the experiment has now: left out of the means."
        )
        blocks.insert(1, [Content.styled(f"! {warning}", "bold $text-warning")])
    return Content("\n").join(line for block in blocks if block for line in [*block, Content("")])


def _row(*cells: str | Content, widths: tuple[int, ...] = _WIDTHS, style: str = "") -> Content:
    """Cells in columns; what is too long is cut."""
    parts = []
    for cell, width in zip(cells, widths, strict=False):
        words = (cell if isinstance(cell, Content) else Content(cell)).truncate(width - 1, ellipsis=True)
        parts.append(words.pad_right(width - words.cell_length))
    row = Content("").join(parts)
    return row.stylize(style) if style else row


def _aggregates(results: Results) -> list[Content]:
    lines = [
        Content.styled("Mean over seeds ± standard deviation, in percent (margin: cosine)", "bold underline"),
        _row("condition", "seeds", "top-1", "top-3", "coherence", "margin", style="$text-muted"),
    ]
    for one in results.conditions:
        lines.append(
            _row(
                Content.styled(one.condition, "bold"),
                f"{one.evaluated}/{one.total}",
                _spread(one.top1),
                _spread(one.top3),
                _spread(one.coherence),
                _spread(one.margin, percents=False),
            )
        )
        if one.mean_pool_top1 is not None:
            pooled = [percent(mean) for mean in (one.mean_pool_top1, one.mean_pool_top3, one.mean_pool_coherence)]
            lines.append(_row("  mean pooling", "", *pooled, number(one.mean_pool_margin), style="$text-muted"))
    return lines


def _spread(spread: Spread | None, *, percents: bool = True) -> str:
    if spread is None:
        return "-"
    words = percent if percents else number
    return words(spread.mean) if spread.sd is None else f"{words(spread.mean)} ± {words(spread.sd)}"


def _gates(results: Results) -> list[Content]:
    bounds = {gate.gate: gate.threshold for one in results.conditions for gate in one.gates}
    heads = [
        f"{SHORT_GATES[gate]} ≥ {100 * bounds[gate]:.0f}" if gate in bounds else SHORT_GATES[gate]
        for gate in GATE_NAMES
    ]
    widths = (12, 16, 16, 18, 16)
    lines = [
        Content.styled("Ship blockers, judged on the mean over seeds", "bold underline"),
        _row("condition", *heads, "verdict", widths=widths, style="$text-muted"),
    ]
    for one in results.conditions:
        verdicts = {gate.gate: gate for gate in one.gates}
        cells = [_verdict(verdicts.get(gate)) for gate in GATE_NAMES]
        word, style = _VERDICTS[one.verdict]
        lines.append(_row(Content.styled(one.condition, "bold"), *cells, Content.styled(word, style), widths=widths))
        if one.failed_seeds:
            seeds = ", ".join(map(str, one.failed_seeds))
            lines.append(Content.styled(f"  a seed by itself fails: {seeds}", "$text-warning"))
    return lines


def _verdict(gate: GateVerdict | None) -> Content:
    if gate is None:
        return Content.styled("not yet", "$text-muted")
    word, style = _VERDICTS["pass" if gate.passed else "fail"]
    return Content.assemble((word, style), f" {percent(gate.value)}")


def _tiers(results: Results) -> list[Content]:
    tiers = [*TIERS, *sorted({tier for one in results.conditions for tier in one.tiers} - set(TIERS))]
    if not any(one.tiers for one in results.conditions):
        return []
    widths = (12, *(19 for _ in tiers))
    lines = [
        Content.styled("Top-1 by tier, in percent", "bold underline"),
        _row("condition", *tiers, widths=widths, style="$text-muted"),
    ]
    for one in results.conditions:
        if one.tiers:
            cells = [_spread(one.tiers.get(tier)) for tier in tiers]
            lines.append(_row(Content.styled(one.condition, "bold"), *cells, widths=widths))
    return lines


def _contingency(results: Results) -> list[Content]:
    lines: list[Content] = []
    for one in results.conditions:
        if one.contingency:
            lines.append(
                Content.styled(f"{one.condition} fails a ship blocker. What to do, in this order", "bold underline")
            )
            for place, step in enumerate(one.contingency, start=1):
                lines.append(Content.assemble(f"{place}. ", (step.title, "bold"), f": {step.advice}"))
    return lines


def _seeds(results: Results) -> list[Content]:
    lines = [Content.styled("Runs", "bold underline")]
    for one in results.conditions:
        runs = [run for run in results.runs if run.condition == one.condition]
        lines.append(Content.assemble((f"{one.condition:<4}", "bold"), f"{one.title}"))
        lines += [line for run in runs for line in _run(run)]
    return lines


def _run(run: RunResult) -> list[Content]:
    if run.head is not None:
        margins = run.head.margins
        words = (
            f"top-1 {percent(run.head.top1)}  top-3 {percent(run.head.top3)}  coherence {percent(run.head.coherence)}"
            f"  margin {number(margins.mean)} (p5 {number(margins.p5)}, p95 {number(margins.p95)})"
        )
    else:
        state = "not launched" if run.state == "none" else run.state
        words = "not in: " + (run.problem or run.reason or state)
    lines = [Content(f"    {run.seed:<10}{words}")]
    if run.other_settings:
        lines.append(Content.styled(f"{'':14}! other settings, left out: {run.other_settings}", "$text-warning"))
    return lines


def nothing_yet(results: Results) -> bool:
    """Whether no run at home has been evaluated."""
    return all(run.head is None for run in results.runs)
