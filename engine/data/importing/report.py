"""The outcome of a check, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from engine.data.importing.reasons import REASONS, REPAIRS, printable
from engine.data.importing.tally import MOST_QUARANTINED, Counts, Found, Tally

_SHOWN = 10
Name = TypeVar("Name", bound=str)


def table(tally: Tally) -> str:
    """A file's outcome as text: a row a format, then repairs and reasons with their first ten lines."""
    return "\n".join(_rows(tally))


def _rows(tally: Tally) -> Iterator[str]:
    total = tally.total
    blank = f", {tally.blank:,} blank" if tally.blank else ""
    yield f"{printable(str(tally.file))}: {tally.lines:,} lines{blank}"
    yield f"  {'format':<32}{'kept':>10}{'repaired':>10}{'quarantined':>13}"
    for name, counts in sorted(tally.formats.items(), key=lambda item: item[0] or "~"):
        yield _row(name or "not recognised", counts)
    if len(tally.formats) > 1:
        yield _row("all", total)
    yield from _group("repaired", tally.repaired, REPAIRS)
    yield from _group("quarantined", tally.quarantined, REASONS)


def _row(name: str, counts: Counts) -> str:
    return f"  {name:<32}{counts.kept:>10,}{counts.repaired:>10,}{counts.quarantined:>13,}"


def _group(title: str, groups: Mapping[Name, Found], sentences: Mapping[Name, str]) -> Iterator[str]:
    """The commonest first."""
    for name, found in sorted(groups.items(), key=lambda item: -len(item[1].lines)):
        more = len(found.lines) - _SHOWN
        lines = ", ".join(map(str, found.lines[:_SHOWN])) + (f" and {more:,} more" if more > 0 else "")
        yield f"  {title} {len(found.lines):,} · {name}: {sentences[name]}"
        example = f"; the first: {found.example}" if found.example else ""
        yield f"    {'line' if len(found.lines) == 1 else 'lines'} {lines}{example}"


def as_json(tallies: Sequence[Tally]) -> dict[str, Any]:
    """Every file's outcome with all line numbers."""
    return {"most_quarantined": MOST_QUARANTINED, "files": [_file(tally) for tally in tallies]}


def _file(tally: Tally) -> dict[str, Any]:
    return {
        "file": str(tally.file),
        "lines": tally.lines,
        "blank": tally.blank,
        **_counts(tally.total),
        "formats": {name or "not recognised": _counts(counts) for name, counts in tally.formats.items()},
        "repairs": _found(tally.repaired, REPAIRS),
        "reasons": _found(tally.quarantined, REASONS),
    }


def _counts(counts: Counts) -> dict[str, int]:
    return {"kept": counts.kept, "repaired": counts.repaired, "quarantined": counts.quarantined}


def _found(groups: Mapping[Name, Found], sentences: Mapping[Name, str]) -> dict[str, Any]:
    return {
        name: {"says": sentences[name], "lines": found.lines, "first": found.example} for name, found in groups.items()
    }
