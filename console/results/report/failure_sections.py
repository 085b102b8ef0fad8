"""Sections of what fails most: in words, by group of items, by lemma, killers, reasons; and the distribution of margins."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from console.format import counted
from console.results.descriptions.records import (
    ConditionFailures,
    FailureGroup,
    Kind,
    KindFailures,
    MarginDistribution,
)
from console.results.tables import (
    Cell,
    Number,
    Range,
    Row,
    Section,
    Text,
    header_row,
    side_by_side,
    sparkline,
    text_cell,
    with_unique_keys,
)

_TITLES: dict[Kind, str] = {"retrieval": "Retrieval top-1", "coherence": "Coherence"}


def failure_sections(conditions: Sequence[ConditionFailures]) -> tuple[Section, ...]:
    """Sections of what fails most in each condition; none without conditions."""
    if not conditions:
        return ()
    sections = [_in_words(conditions)]
    for kind in _TITLES:
        of_kind = [(one.condition, failures) for one in conditions for failures in one.kinds if failures.kind == kind]
        for alike in _with_same_groups(of_kind):
            sections += [_groups(kind, part) for part in side_by_side(alike)]
    sections.append(_lemmas(conditions))
    with_killers = [one for one in conditions if one.killers]
    sections += [_killers(part) for part in side_by_side(with_killers)] or [_no_killers()]
    sections += [_reasons(part) for part in side_by_side([one for one in conditions if one.reasons])]
    return with_unique_keys(sections)


def _in_words(conditions: Sequence[ConditionFailures]) -> Section:
    rows: list[Row] = []
    for one in conditions:
        rows.append(((Text(one.condition, "name"), Text(f"  {one.summary}")),))
        if one.tiers:
            rows.append((text_cell(f"   {one.tiers}"),))
    return Section("What fails most, mean over seeds", tuple(rows), key="failures")


def _with_same_groups(found: Sequence[tuple[str, KindFailures]]) -> list[list[tuple[str, KindFailures]]]:
    """Conditions whose groups have the same items stand in one table."""
    tables: dict[tuple[object, ...], list[tuple[str, KindFailures]]] = {}
    for name, failures in found:
        key = tuple((one.facet, one.value, one.items, one.lemmas) for one in (failures.overall, *failures.groups))
        tables.setdefault(key, []).append((name, failures))
    return list(tables.values())


def _groups(kind: Kind, conditions: Sequence[tuple[str, KindFailures]]) -> Section:
    _, first = conditions[0]
    columns = [(failures.overall, *failures.groups) for _, failures in conditions]
    rows: list[Row] = []
    for facet, group in groupby(range(len(columns[0])), key=lambda at: columns[0][at].facet):
        if facet:
            rows.append((text_cell(facet, "muted"),))
        rows += [
            _group_row(f"  {columns[0][at].value}" if facet else "all", [one[at] for one in columns]) for at in group
        ]
    rows += [(text_cell(f"{facet}: no item says it", "muted"),) for facet in first.unknown]
    title = f"{_TITLES[kind]} by group of items, in percent [95%]; ! worse than the other items beyond noise"
    names = (name for name, _ in conditions)
    header = (*header_row("", "items"), *header_row(*names), *header_row("pooling", "guessing", "lemmas"))
    optional = tuple(range(len(header) - 3, len(header)))
    return Section(title, tuple(rows), header, f"groups-{kind}", optional)


def _group_row(label: str, groups: Sequence[FailureGroup]) -> Row:
    """A group in several conditions; pooling and guessing are those of the first."""
    first = groups[0]
    return (
        text_cell(label, "name" if not first.facet else "plain"),
        (Number(first.items, "count"),),
        *map(_accuracy, groups),
        (Number(first.mean_pool, role="muted", n=first.items),),
        (Number(first.chance, role="muted", n=first.items),),
        (Number(first.lemmas, "count", role="muted"),),
    )


def _accuracy(group: FailureGroup) -> Cell:
    interval = group.accuracy
    role, mark = ("warning", "!") if group.is_named else ("plain", "")
    shown = Range(
        interval.low,
        interval.mean,
        interval.high,
        n=group.items,
        role="warning" if group.is_named else "plain",
        has_short_ends=True,
    )
    return (shown, Text(mark, "warning")) if role == "warning" else (shown,)


def _lemmas(conditions: Sequence[ConditionFailures]) -> Section:
    rows: list[Row] = []
    for one in conditions:
        for failures in one.kinds:
            worst = ", ".join(
                f"{lemma.value} {lemma.items - lemma.failed:.1f} of {lemma.items}" for lemma in failures.worst_lemmas
            )
            if worst:
                rows.append(((Text(one.condition, "name"), Text(f"  {failures.kind}: {worst}")),))
    title = "Lemmas with the most failures: items right, mean over seeds (one lemma has no interval)"
    return Section(title, tuple(rows), key="lemmas")


def _killers(conditions: Sequence[ConditionFailures]) -> Section:
    groups: dict[str, dict[str, FailureGroup]] = {}
    for one in conditions:
        for group in one.killers:
            groups.setdefault(group.value, {})[one.condition] = group
    rows: list[Row] = []
    for reason, found in groups.items():
        first = next(iter(found.values()))
        cells = [_accuracy(found[one.condition]) if one.condition in found else (Number(None),) for one in conditions]
        rows.append((text_cell(reason), (Number(first.items, "count"),), *cells, (Number(first.lemmas, "count"),)))
    if len(groups) == 1:
        rows.append(
            (text_cell("Reason codes of frozen killers are not saved in these runs, which are older.", "muted"),)
        )
    names = (one.condition for one in conditions)
    header = (*header_row("", "items"), *header_row(*names), *header_row("lemmas"))
    title = "Frozen killers ranked right, in percent [95%]"
    return Section(title, tuple(rows), header, "killers", (len(header) - 1,))


def _no_killers() -> Section:
    text = "None known: this evaluation has no frozen killer set, or older runs do not say which items are in it."
    return Section("Frozen killers ranked right", ((text_cell(text, "muted"),),), key="killers")


def _reasons(conditions: Sequence[ConditionFailures]) -> Section:
    counts = {one.condition: {count.reason: count for count in one.reasons} for one in conditions}
    reasons = dict.fromkeys(reason for of in counts.values() for reason in of)
    rows: list[Row] = []
    for reason in reasons:
        found = [of.get(reason) for of in counts.values()]
        cells = [
            (Number(0.0, "decimal"),) if one is None else (Number(one.mean, "decimal", one.sd, n=one.n),)
            for one in found
        ]
        rows.append((text_cell(reason), *cells))
    header = (
        *header_row("reason"),
        *header_row(*(f"{one.condition} ({counted(len(one.seeds), 'seed')})" for one in conditions)),
    )
    title = "Items that each condition's own heads fail badly, by reason: number, mean over seeds ± sd"
    return Section(title, tuple(rows), header, "reasons")


def margin_sections(margins: Sequence[MarginDistribution]) -> tuple[Section, ...]:
    """A section for retrieval and one for coherence, as far as there are margins."""
    of_kind = {kind: [one for one in margins if one.kind == kind] for kind in _TITLES}
    return tuple(_margins(kind, of) for kind, of in of_kind.items() if of)


def _margins(kind: Kind, margins: Sequence[MarginDistribution]) -> Section:
    rows: list[Row] = []
    pooled: dict[tuple[float, ...], MarginDistribution] = {}
    for one in margins:
        pooled.setdefault(one.mean_pool_counts, one)
        interval = Range(one.mean.low, one.mean.mean, one.mean.high, "cosine", shows_mean=False, n=one.items)
        rows.append(
            (
                text_cell(one.condition, "name"),
                (Number(one.items, "count"),),
                (Number(one.mean.mean, "cosine", n=one.items),),
                (interval,),
                (Number(one.p5.mean, "cosine", n=one.p5.n),),
                (Number(one.p95.mean, "cosine", n=one.p95.n),),
                text_cell(_histogram(one.counts)),
            )
        )
    for one in pooled.values():
        label = text_cell("pooling", "muted")
        mean = (Number(one.mean_pool_mean, "cosine", role="muted", n=one.items),)
        histogram = text_cell(_histogram(one.mean_pool_counts), "muted")
        rows.append((label, (Number(one.items, "count", role="muted"),), mean, (), (), (), histogram))
    low, high = margins[0].edges[0], margins[0].edges[-1]
    axis = f"{low:+.2f} to {high:+.2f}"
    header = header_row("", "items", "mean", "95%", "p5", "p95", axis)
    title = f"{'Retrieval' if kind == 'retrieval' else 'Coherence'} margins in cosine, right above 0; quantiles: mean over seeds"
    return Section(title, tuple(rows), header, f"margins-{kind}")


def _histogram(counts: Sequence[float]) -> str:
    """Bars with 0 in the middle; a dot for a bin without items."""
    middle = len(counts) // 2
    highest = max(counts, default=0.0)
    bars = [sparkline([count], 0.0, highest) if count else "·" for count in counts]
    return "".join(bars[:middle]) + "|" + "".join(bars[middle:])
