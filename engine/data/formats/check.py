"""The outcome of a check, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from engine.contract.bad_input import BadInput
from engine.contract.durable import writing_durably
from engine.data.formats.gate import Gate
from engine.data.formats.lines import Line, read_lines
from engine.data.formats.quarantine import keep, quarantine_file
from engine.data.formats.reasons import REASONS, REPAIRS, printable
from engine.data.formats.schemas import OF_ROLE
from engine.data.formats.tally import MOST_QUARANTINED, Counts, Found, Tally
from engine.data.records import RetrievalItem


def check_files(files: Sequence[Path], quarantine: Path | None = None) -> Iterator[Tally]:
    """What becomes of the lines of each file; killers must name retrieval items, if any of the files holds some.

    Args:
        files: one or more; ids must be unique within each.
        quarantine: a folder, made when missing, to which each file's quarantined lines are written.

    Raises:
        BadInput: a file cannot be read as lines, or two would be quarantined under one name.
    """
    if quarantine is not None:
        _refuse_one_name(files)
        quarantine.mkdir(parents=True, exist_ok=True)
    items = {item for file in files for item in _retrieval_items(file)}
    for file in files:
        tally = Tally(file)
        place = None if quarantine is None else quarantine_file(quarantine, file)
        with nullcontext() if place is None else writing_durably(place) as out:
            for verdict in Gate(items=items or None).judge(read_lines(file)):
                tally.add(verdict)
                if out is not None:
                    keep(verdict, out)
        yield tally


def _retrieval_items(file: Path) -> Iterator[str]:
    """The ids of the retrieval items of ``file`` that pass the gate."""
    gate = Gate(accepts=OF_ROLE["retrieval"])
    for verdict in gate.judge(line for line in read_lines(file) if _may_be_retrieval(line)):
        yield from (record.item_id for record in verdict.records if isinstance(record, RetrievalItem))


def _may_be_retrieval(line: Line) -> bool:
    return not line.too_long and b'"candidates"' in line.content


def _refuse_one_name(files: Sequence[Path]) -> None:
    name, count = Counter(file.name for file in files).most_common(1)[0]
    if count > 1:
        raise BadInput(f"{count} files are called {name}; quarantine them one at a time", field="--quarantine")


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
