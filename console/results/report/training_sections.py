"""Sections of training: loss over seeds, epochs to the threshold, entropy, warnings, time; and of attention compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from console.format import counted, duration
from console.results.descriptions.records import (
    NAMED_LEVEL,
    AttentionComparison,
    AttentionMeasure,
    AttentionReport,
    ConditionAttention,
    ConditionTraining,
    ProbeAttention,
    RunTime,
    SeedPoint,
    TrainingSummary,
)
from console.results.tables import (
    SIDE_BY_SIDE,
    Cell,
    Number,
    Range,
    Role,
    Row,
    Section,
    Text,
    Unit,
    header_row,
    side_by_side,
    sparkline,
    text_cell,
    with_unique_keys,
)

MEASURES: dict[AttentionMeasure, str] = {"entropy": "entropy", "lemma_mass": "on the lemma", "cue_mass": "on cues"}
SHADE_WIDTH = 10
MAX_RUN_TIMES = 20


def training_sections(training: TrainingSummary) -> tuple[Section, ...]:
    """Sections of training; those of which nothing was recorded are left out."""
    recorded = [one for one in training.conditions if one.training_loss or one.development_loss]
    sections = [_end(recorded), _convergence(training)]
    for part in side_by_side(recorded):
        sections += [
            _curve(part, "Training loss by tenth of the steps", "training-loss", lambda one: one.training_loss),
            _curve(part, "Attention entropy on development texts", "entropy", lambda one: one.entropy),
        ]
    sections += [_warnings(recorded), _stages(training), _timeline(training), _problems(training)]
    return with_unique_keys([section for section in sections if section.rows])


def _point(point: SeedPoint | None, unit: Unit = "cosine") -> Cell:
    return (Number(None),) if point is None else (Number(point.mean, unit, point.sd, n=point.n),)


def _end(conditions: Sequence[ConditionTraining]) -> Section:
    rows: list[Row] = []
    for one in conditions:
        loss = one.training_loss[-1] if one.training_loss else None
        variance = None if loss is None else loss.variance
        rows.append(
            (
                text_cell(one.condition, "name"),
                (Number(len(one.seeds), "count"),),
                _point(loss),
                text_cell("-" if variance is None else f"{variance:.1e}"),
                _point(one.development_loss[-1] if one.development_loss else None),
                _point(one.development_score[-1] if one.development_score else None, "percent"),
            )
        )
    header = header_row("", "seeds", "training loss", "variance", "development loss", "score")
    return Section("End of training, over seeds ± sd (training loss: last tenth)", tuple(rows), header, "training")


def _convergence(training: TrainingSummary) -> Section:
    rows: list[Row] = []
    for one in training.conditions:
        if not one.convergence:
            continue
        epochs = ", ".join(
            f"{run.seed}: {run.epoch:.2f} ({run.step:,})"
            if run.epoch is not None
            else f"{run.seed}: not reached in {run.last_epoch:.2f} ({run.last_step:,})"
            for run in one.convergence
        )
        median = text_cell("not reached") if one.median_epoch is None else (Number(one.median_epoch, "decimal"),)
        reached: Cell = (Number(one.reached, "count"), Text(f" of {len(one.convergence)}"))
        rows.append((text_cell(one.condition, "name"), reached, median, text_cell(epochs)))
    threshold = "that of frozen mean pooling" if training.threshold is None else f"{100 * training.threshold:g}"
    title = f"Epochs (steps) until the development score first reached {threshold}"
    if training.score_name and rows:
        rows.append((text_cell(f"Score: {training.score_name}. It is measured a few times a run.", "muted"),))
    return Section(title, tuple(rows), header_row("", "reached", "median", "each seed"), "convergence")


def _curve(
    conditions: Sequence[ConditionTraining],
    title: str,
    key: str,
    points_of: Callable[[ConditionTraining], tuple[SeedPoint, ...]],
) -> Section:
    """A row for each place of training; the epoch is that of the first condition that has the place."""
    curves = [points_of(one) for one in conditions]
    rows: list[Row] = []
    for at in range(max(map(len, curves), default=0)):
        points = [curve[at] if at < len(curve) else None for curve in curves]
        epoch = next(one.epoch for one in points if one is not None)
        cells = []
        for one, point in zip(conditions, points, strict=True):
            cell = _point(point)
            few = point is not None and point.n < len(one.seeds)
            cells.append((*cell, Text(f" ({point.n})", "muted")) if few and point is not None else cell)
        rows.append((text_cell(f"{epoch:.2f}"), *cells))
    header = header_row("epoch", *(f"{one.condition} ({counted(len(one.seeds), 'seed')})" for one in conditions))
    return Section(f"{title}, mean over seeds ± sd", tuple(rows), header, key)


def _warnings(conditions: Sequence[ConditionTraining]) -> Section:
    kinds = sorted({kind for one in conditions for kind in one.warnings})
    rows: list[Row] = []
    for one in conditions:
        cells = [(Number(one.warnings.get(kind, 0), "count"),) for kind in kinds]
        rows.append((text_cell(one.condition, "name"), (Number(len(one.seeds), "count"),), *cells))
        if one.negative_gaps:
            gaps = ", ".join(f"{100 * point.mean:.0f}% at epoch {point.epoch:.1f}" for point in one.negative_gaps)
            rows.append((text_cell(f"  hard pairs with a negative gap: {gaps}", "muted"),))
    if not kinds and rows:
        rows = [(text_cell("None in any run."),)]
    elif any(one.negative_gaps for one in conditions):
        note = "Early warning, below 15%: tune; to 40%: architecture; from 40%: data."
        rows.append((text_cell(note, "muted"),))
    header = header_row("", "runs", *kinds) if kinds else ()
    return Section("Warnings of the guardrails, over all seeds", tuple(rows), header, "warnings")


def _stages(training: TrainingSummary) -> Section:
    by_condition: dict[str, list[RunTime]] = {}
    for one in training.times:
        by_condition.setdefault(one.condition, []).append(one)
    stages = list(dict.fromkeys(stage for one in training.times for stage in one.stages))
    rows: list[Row] = []
    for name, times in by_condition.items():
        cells = [
            (Number(sum(one.stages.get(stage, 0.0) for one in times) / len(times), "seconds"),) for stage in stages
        ]
        total = (Number(sum(one.total for one in times) / len(times), "seconds", role="name", n=len(times)),)
        rows.append((text_cell(name, "name"), (Number(len(times), "count"),), *cells, total))
        each = ", ".join(f"{one.seed}: {duration(one.total)}" for one in times[:MAX_RUN_TIMES])
        rows.append((text_cell(f"  {each}{', ...' if len(times) > MAX_RUN_TIMES else ''}", "muted"),))
    title = "Wall time by stage, mean over runs (h:mm:ss)"
    return Section(title, tuple(rows), header_row("", "runs", *stages, "in all"), "stages")


def _timeline(training: TrainingSummary) -> Section:
    rows: list[Row] = []
    for one in training.timeline:
        measured: Cell = (
            text_cell("not recorded", "muted") if one.measured is None else (Number(one.measured, "seconds"),)
        )
        row: Row = (text_cell(one.part), (Number(one.planned, "seconds"),), measured, text_cell(one.note, "muted"))
        rows.append(row)
    return Section(
        "Time against the plan (h:mm:ss)", tuple(rows), header_row("", "planned", "measured", ""), "timeline"
    )


def _problems(training: TrainingSummary) -> Section:
    rows: tuple[Row, ...] = tuple((text_cell(f"! {problem}", "warning"),) for problem in training.problems)
    return Section("Recordings that cannot be used", rows, key="problems")


def attention_sections(attention: AttentionReport) -> tuple[Section, ...]:
    """Sections of attention compared; one line that there is none."""
    if not attention.conditions:
        text = "No counted run has attention on probes that can be read."
        return (Section("Attention", ((text_cell(text, "muted"),),), key="attention"),)
    sections = (
        _evaluated(attention.conditions),
        _comparisons(attention.comparisons),
        _attention_curves(attention.conditions),
        *map(_probe, attention.shown),
    )
    return with_unique_keys([section for section in sections if section.rows])


def _evaluated(conditions: Sequence[ConditionAttention]) -> Section:
    rows: list[Row] = []
    for one in conditions:
        counts = (one.seeds, one.probes, one.lemmas)
        numbers = [(Number(value if isinstance(value, int) else len(value), "count"),) for value in counts]
        rows.append(
            (text_cell(one.condition, "name"), *numbers, *(_point(one.evaluated.get(name)) for name in MEASURES))
        )
    header = header_row("", "seeds", "probes", "lemmas", *MEASURES.values())
    title = "Attention of the evaluated heads on probes, over seeds ± sd (entropy / log T; shares)"
    return Section(title, tuple(rows), header, "attention")


def _comparisons(comparisons: Sequence[AttentionComparison]) -> Section:
    rows: list[Row] = []
    for one in comparisons:
        interval = one.test.interval
        is_told = one.adjusted_p is not None and one.adjusted_p < NAMED_LEVEL
        rows.append(
            (
                text_cell(f"{one.ours} − {one.theirs}", "name"),
                text_cell(MEASURES[one.measure]),
                (Number(one.probes, "count"),),
                (Number(interval.mean, "gain", n=one.probes),),
                (Range(interval.low, interval.mean, interval.high, "gain", shows_mean=False, n=one.probes),),
                (Number(one.adjusted_p, "p"),),
                text_cell("differs" if is_told else "not told apart", "plain" if is_told else "muted"),
            )
        )
    if rows:
        note = "Sign-flip of lemmas, seeds averaged: of these trained heads on new lemmas, not of new seeds."
        rows.append((text_cell(note, "muted"),))
    header = header_row("", "", "probes", "mean", "95%", "p", "reading")
    title = f"Attention on the same probes, differences (p: Benjamini-Hochberg over {len(comparisons)})"
    return Section(title, tuple(rows), header, "attention-tests")


def _attention_curves(conditions: Sequence[ConditionAttention]) -> Section:
    rows: list[Row] = []
    for measure, label in MEASURES.items():
        curves = {one.condition: getattr(one, measure) for one in conditions if getattr(one, measure)}
        values = [point.mean for curve in curves.values() for point in curve]
        for name, curve in curves.items():
            drawn = sparkline([point.mean for point in curve], min(values), max(values))
            first, last = curve[0], curve[-1]
            epochs = text_cell(f"{first.epoch:.1f} to {last.epoch:.1f}")
            rows.append(
                (text_cell(name, "name"), text_cell(label), _point(first), _point(last), epochs, text_cell(drawn))
            )
    header = header_row("", "", "first", "last", "epochs", "by measurement")
    return Section(
        "Attention on the probes while training, mean over seeds ± sd", tuple(rows), header, "attention-curves"
    )


def _probe(probe: ProbeAttention) -> Section:
    """A row for each token: what each condition gives it; bold above 1.5 times what is uniform, muted below half."""
    names = list(probe.weights)[:SIDE_BY_SIDE]
    uniform = 1 / len(probe.tokens)
    highest = max(weight for name in names for weight in probe.weights[name])
    rows: list[Row] = []
    for at, token in enumerate(probe.tokens):
        cells = [_shade(probe.weights[name][at], highest, uniform) for name in names]
        rows.append((text_cell(token), *cells))
    header = header_row("token", *(f"{name} ({counted(probe.seeds[name], 'seed')})" for name in names))
    title = f'Attention by token, percent (uniform: {100 * uniform:.1f}): {probe.lemma}, "{probe.text}"'
    return Section(title, tuple(rows), header, "probe")


def _shade(weight: float, highest: float, uniform: float) -> Cell:
    role: Role = "name" if weight > 1.5 * uniform else "muted" if weight < 0.5 * uniform else "plain"
    bar = "█" * round(SHADE_WIDTH * weight / highest)
    return Text(" " if weight < 0.0995 else ""), Number(weight, role=role), Text(f" {bar}", role)
