"""The results as tables of typed cells, and their layout in lines; the screen and the text report both draw these."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from console.format import counted, number, percent
from console.results.records import GATE_LABELS, ConditionResult, Results, RunResult, Spread, Verdict
from engine.contract.experiment import TIERS
from engine.contract.metrics import GATE_NAMES, GateVerdict
from engine.contract.settings import RunId

Role = Literal["plain", "title", "name", "muted", "pass", "fail", "warning"]
Unit = Literal["percent", "threshold", "cosine", "count"]

LINE_WIDTH = 76  # 80 columns less the pane's padding and scrollbar
MAX_COLUMN_WIDTH = 18


class Text(Struct, frozen=True):
    """Words in a cell; ``role`` is what a screen chooses their style by."""

    text: str
    role: Role = "plain"


class Number(Struct, frozen=True):
    """A value in a cell, rounded only when shown.

    Attributes:
        value: a fraction of 1 with the units ``percent`` and ``threshold``; None is shown as a dash.
        sd: sample standard deviation over seeds, where ``value`` is a mean of several.
    """

    value: float | None
    unit: Unit = "percent"
    sd: float | None = None
    role: Role = "plain"

    @property
    def text(self) -> str:
        """``51.2 ± 4.1``."""
        text = _format(self.value, self.unit)
        return text if self.sd is None else f"{text} ± {_format(self.sd, self.unit)}"


def _format(value: float | None, unit: Unit) -> str:
    match unit:
        case "percent":
            return percent(value)
        case "cosine":
            return number(value)
        case "threshold":
            return "-" if value is None else f"{100 * value:g}"
        case "count":
            return "-" if value is None else f"{value:,.0f}"


Cell = tuple[Text | Number, ...]
Row = tuple[Cell, ...]


class Section(Struct, frozen=True):
    """A table. In a row with fewer cells than ``header``, the last cell extends over the columns that remain."""

    title: str
    rows: tuple[Row, ...]
    header: Row = ()


def result_sections(results: Results) -> tuple[Section, ...]:
    """The page of results: verdict and warnings, means, ship blockers, tiers, contingency, runs."""
    sections = (
        _summary(results),
        _means(results.conditions),
        _gates(results.conditions),
        _tiers(results.conditions),
        *map(_contingency, results.conditions),
        _runs(results),
    )
    return tuple(section for section in sections if section.rows)


def result_lines(results: Results) -> list[list[Text]]:
    """The page of results in lines of styled words, an empty line between sections."""
    lines: list[list[Text]] = []
    for section in result_sections(results):
        lines += [*([[]] if lines else []), *_layout(section)]
    return lines


def _cell(text: str, role: Role = "plain") -> Cell:
    return (Text(text, role),)


def _verdict(verdict: Verdict) -> Text:
    return Text(verdict.upper(), "warning" if verdict == "incomplete" else verdict)


def _header(*names: str) -> Row:
    return tuple(_cell(name, "muted") for name in names)


def _spread(spread: Spread | None, unit: Unit = "percent") -> Cell:
    return (Number(None),) if spread is None else (Number(spread.mean, unit, spread.sd),)


def _summary(results: Results) -> Section:
    counted_runs = sum(run.is_counted for run in results.runs)
    verdict = (
        Text("Verdict: "),
        _verdict(results.verdict),
        Text(f"   {counted_runs} of {len(results.runs)} runs evaluated   {results.experiment}, {results.profile}"),
    )
    rows: list[Row] = [(verdict,)]
    if others := sum(bool(run.other_settings) for run in results.runs):
        warning = f"! Left out of the means: {counted(others, 'run')} with settings other than the experiment's."
        rows.append((_cell(warning, "warning"),))
    if not results.comparable:
        warning = "! Runs were scored on different evaluation data: their numbers must not be compared."
        rows.append((_cell(warning, "fail"),))
    return Section("", tuple(rows))


def _means(conditions: Sequence[ConditionResult]) -> Section:
    rows: list[Row] = []
    for one in conditions:
        seeds = (Number(one.evaluated, "count"), Text("/"), Number(one.total, "count"))
        scores = map(_spread, (one.top1, one.top3, one.coherence))
        rows.append((_cell(one.condition, "name"), seeds, *scores, _spread(one.margin, "cosine")))
        if one.mean_pool_top1 is not None:
            pooled = [
                (Number(mean, role="muted"),)
                for mean in (one.mean_pool_top1, one.mean_pool_top3, one.mean_pool_coherence)
            ]
            margin = (Number(one.mean_pool_margin, "cosine", role="muted"),)
            rows.append((_cell("  mean pooling", "muted"), _cell(""), *pooled, margin))
    title = "Mean over seeds ± standard deviation, in percent (margin: cosine)"
    return Section(title, tuple(rows), _header("condition", "seeds", "top-1", "top-3", "coherence", "margin"))


def _gates(conditions: Sequence[ConditionResult]) -> Section:
    thresholds = {gate.gate: gate.threshold for one in conditions for gate in one.gates}
    names: list[Cell] = []
    for gate in GATE_NAMES:
        names.append(_cell(GATE_LABELS[gate], "muted"))
        if gate in thresholds:
            names[-1] = (Text(f"{GATE_LABELS[gate]} ≥ ", "muted"), Number(thresholds[gate], "threshold", role="muted"))
    rows: list[Row] = []
    for one in conditions:
        gates = {gate.gate: gate for gate in one.gates}
        cells = [_gate(gates.get(gate)) for gate in GATE_NAMES]
        rows.append((_cell(one.condition, "name"), *cells, (_verdict(one.verdict),)))
        if one.failed_seeds:
            seeds = ", ".join(map(str, one.failed_seeds))
            rows.append((_cell(f"  fails for a seed by itself: {seeds}", "warning"),))
    header = (*_header("condition"), *names, *_header("verdict"))
    return Section("Ship blockers, judged on the mean over seeds", tuple(rows), header)


def _gate(gate: GateVerdict | None) -> Cell:
    if gate is None:
        return _cell("not yet", "muted")
    return _verdict("pass" if gate.passed else "fail"), Text(" "), Number(gate.value)


def _tiers(conditions: Sequence[ConditionResult]) -> Section:
    tiers = [*TIERS, *sorted({tier for one in conditions for tier in one.tiers} - set(TIERS))]
    rows = tuple(
        (_cell(one.condition, "name"), *(_spread(one.tiers.get(tier)) for tier in tiers))
        for one in conditions
        if one.tiers
    )
    return Section("Top-1 by tier, in percent", rows, _header("condition", *tiers))


def _contingency(condition: ConditionResult) -> Section:
    steps = enumerate(condition.contingency, start=1)
    rows = tuple(((Text(f"{count}. "), Text(step.title, "name"), Text(f": {step.advice}")),) for count, step in steps)
    return Section(f"{condition.condition} fails a ship blocker. What to do, in this order", rows)


def _runs(results: Results) -> Section:
    rows: list[Row] = []
    for one in results.conditions:
        rows.append((_cell(one.condition, "name"), _cell(one.title)))
        for run in results.runs:
            if run.condition == one.condition:
                rows += _run(run)
    header = ["run", "state", "top-1", "top-3", "coherence", "margin", "p5", "p95"]
    has_killers = any(run.killer_top1 is not None for run in results.runs)
    return Section("Runs", tuple(rows), _header(*header, *(["killers"] if has_killers else [])))


def _run(run: RunResult) -> list[Row]:
    """The run's scores, or why it has none, and below them what to know about them."""
    label = _cell(RunId(run.condition, run.seed).label)
    state = "not launched" if run.state == "none" else run.state
    notes = [Text(note) for note in (run.reason, run.problem) if note]
    if run.head is None:
        first = (label, _cell(state), *((note,) for note in notes[:1]))
        return [first, *((_cell(""), (note,)) for note in notes[1:])]
    margins = run.head.margins
    scores = [(Number(score),) for score in (run.head.top1, run.head.top3, run.head.coherence)]
    spread = [(Number(margin, "cosine"),) for margin in (margins.mean, margins.p5, margins.p95)]
    killers = (
        () if run.killer_top1 is None else ((Number(run.killer_top1), Text(" of "), Number(run.killer_set, "count")),)
    )
    if run.other_settings:
        notes.append(Text(f"! other settings, left out: {run.other_settings}", "warning"))
    return [(label, _cell(state), *scores, *spread, *killers), *((_cell(""), (note,)) for note in notes)]


def _layout(section: Section) -> list[list[Text]]:
    """The lines of one section; a row's last cell keeps its length, all others are padded or cut to their column."""
    columns = len(section.header)
    aligned = [row if len(row) == columns else row[:-1] for row in (section.header, *section.rows)]
    widths = [min(MAX_COLUMN_WIDTH, max(_width(row[at]) for row in aligned if len(row) > at)) for at in range(columns)]
    gap = 2 if sum(widths) + 2 * (columns - 1) <= LINE_WIDTH else 1
    lines = [[Text(section.title, "title")]] if section.title else []
    for row in (section.header, *section.rows) if columns else section.rows:
        *cells, last = row
        line = [part for cell, width in zip(cells, widths, strict=False) for part in _fit(cell, width, gap)]
        lines.append(line + [_shown(part) for part in last])
    return lines


def _fit(cell: Cell, width: int, gap: int) -> list[Text]:
    parts = [_shown(part) for part in cell]
    if _width(cell) > width:
        text = "".join(part.text for part in parts)
        while _text_width(text) >= width:
            text = text[:-1]
        parts = [Text(f"{text}…", parts[0].role)]
    return [*parts, Text(" " * (width + gap - sum(_text_width(part.text) for part in parts)))]


def _shown(part: Text | Number) -> Text:
    return Text(part.text, part.role)


def _width(cell: Cell) -> int:
    return sum(_text_width(part.text) for part in cell)


def _text_width(text: str) -> int:
    """Terminal columns of ``text``; tiers may have names in any script."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)
