"""Sections of comparisons: differences with intervals, trained models, paired t-tests, killers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from console.format import counted, metric_label
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
    header_row,
    text_cell,
)
from engine.contract.experiment import TIERS

if TYPE_CHECKING:  # numpy, which the first paint does without
    from console.results.analysis.records import Comparison
    from console.results.statistics.estimates import Interval, Need, PairedT

MEAN_POOL_LABEL = "pooling"
READING_ROLES: dict[str, Role] = {
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
_TICK_STEPS = (0.01, 0.02, 0.04, 0.05, 0.1, 0.2, 0.25)


def comparison_sections(comparisons: Sequence[Comparison]) -> tuple[Section, ...]:
    """Sections of the comparisons of one pair of conditions."""
    coverage = coverage_text(one.recipe for one in comparisons)
    title = f"Is this recipe better? {coverage} for new lemmas and new seeds (points; margin: cosine)"
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


def unit_of(metric: str) -> Unit:
    """The unit in which a difference on ``metric`` is shown."""
    return "gain" if metric == "margin" else "points"


def range_of(interval: Interval | None, unit: Unit, *, shows_mean: bool = True) -> Range:
    """The table cell that draws ``interval`` on an axis; an empty axis for None."""
    if interval is None:
        return Range(None, None, None, unit, shows_mean)
    return Range(interval.low, interval.mean, interval.high, unit, shows_mean, n=interval.items)


def coverage_text(intervals: Iterable[Interval | None]) -> str:
    """Coverage of the intervals of one table: ``95%``, or ``97.5%`` at the second look at results."""
    level = next((one.level for one in intervals if one is not None), 0.95)
    return f"{100 * level:.3g}%"


def bar_of(interval: Interval | None, start: float, end: float, marks: tuple[Mark, ...], role: Role) -> Bar:
    """An interval drawn on an axis from ``start`` to ``end``, with ``marks``."""
    if interval is None:
        return Bar(None, None, None, start, end, marks)
    return Bar(interval.low, interval.mean, interval.high, start, end, marks, role)


def needs_text(need: Need, unit: Unit) -> str:
    """What would settle an open question, in words, after ``needs:``."""
    from console.results.statistics.variance import need_text

    return f"needs: {need_text(need, 'points' if unit == 'points' else 'cosine')}"


def differences_section(comparisons: Sequence[Comparison], title: str, key: str) -> Section:
    """Differences between conditions: interval, reading, and for planned ones what would settle them."""
    limit, axis = _points_axis([one for one in comparisons if one.metric not in ("margin", *TIERS[1:])])
    rows: list[Row] = []
    for above, label, one in _labelled(comparisons):
        unit = unit_of(one.metric)
        role = READING_ROLES.get(one.reading, "plain")
        marks = (Mark("|", 0.0), Mark(":", -one.margin if one.margin is not None else None))
        rows += above
        rows.append(
            (
                label,
                (bar_of(one.recipe, -limit, limit, marks, role),) if unit == "points" else (),
                (range_of(one.recipe, unit),),
                (Text(one.reading, role),),
                (Number(one.p, "p"),),
                (Number(one.adjusted_p, "p"), Text(f" {one.adjustment}" if one.adjusted_p is not None else "")),
                (Number(one.probability),),
            )
        )
        rows += [(text_cell(""), text_cell(note, "muted")) for note in _notes(one)]
    has_margins = any(one.margin is not None for one in comparisons)
    legend = "| no difference  : the margin that a loss must not reach" if has_margins else ""
    delta = f"Δ [{coverage_text(one.recipe for one in comparisons)}]"
    names = header_row(delta, "reading", "p", "adjusted p", "ours above, % of seed pairs")
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
        notes.append(needs_text(one.need, unit_of(one.metric)))
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


def t_test_section(comparisons: Sequence[Comparison], title: str, key: str) -> Section:
    """The paired t-tests, each with its differences by seed and Welch's test beside it."""
    rows: list[Row] = []
    for above, label, one in _labelled([one for one in comparisons if one.paired_t is not None]):
        unit, test = unit_of(one.metric), one.paired_t
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
    """Sentences on the smallest effect that a t-test can find, one for each number of pairs."""
    found = {test.pairs: test.detectable for test in tests if test.detectable is not None}
    return [
        f"With {counted(pairs, 'pair')} of seeds this test finds an effect four times in five only where it is "
        f"{detectable:.1f} standard deviations of the differences: no finding here is no proof of no difference. "
        "It is about just these items: a finding may not hold for other lemmas."
        for pairs, detectable in found.items()
    ]


def models_section(comparisons: Sequence[Comparison]) -> Section:
    """Comparisons of the trained models themselves, which say nothing about other seeds."""
    rows: list[Row] = []
    for one in comparisons:
        if one.models is None:
            continue
        rows.append(
            (
                text_cell(pair_label(one.ours, one.theirs), "name"),
                text_cell(metric_label(one.metric)),
                (range_of(one.models.interval, unit_of(one.metric)),),
                (Number(one.models.p, "p"),),
                (Number(one.models.interval.items, "count"),),
                (Number(one.models.interval.lemmas, "count"),),
            )
        )
    title = "Are these trained models better on new lemmas? Seeds averaged, signs of whole lemmas flipped"
    delta = f"Δ [{coverage_text(one.models.interval for one in comparisons if one.models is not None)}]"
    return Section(title, tuple(rows), header_row("", "metric", delta, "p", "items", "lemmas"), "models")


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
