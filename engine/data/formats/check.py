"""Checks users' files with the integrity gate; reports as text and JSON; keeps quarantined lines for repair."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
from msgspec import Struct, structs

from engine.contract.bad_input import BadInput
from engine.contract.durable import writing_durably
from engine.data.formats.gate import (
    MAX_QUARANTINED_SHARE,
    Counts,
    FileReport,
    Gate,
    ItemIds,
    LineGroup,
    Verdict,
    file_offsets,
)
from engine.data.formats.lines import read_lines
from engine.data.formats.offsets import FileOffsets
from engine.data.formats.reasons import Reason, Repair, printable_line
from engine.data.formats.schemas import FORMATS_OF_ROLE


def check_files(files: Sequence[Path], quarantine: Path | None = None) -> Iterator[FileReport]:
    """Check each file and report on it; killers must name retrieval items, if any of the files holds some.

    Args:
        files: one or more; ids must be unique within each.
        quarantine: folder for each file's quarantined lines, made when missing.

    Raises:
        BadInput: a file cannot be read as lines, or two files with the same name would share a quarantine file.
    """
    if quarantine is not None:
        name, count = Counter(file.name for file in files).most_common(1)[0]
        if count > 1:
            raise BadInput(f"{count} files are called {name}; quarantine them one at a time", field="--quarantine")
        quarantine.mkdir(parents=True, exist_ok=True)
    offsets = {file: file_offsets(file) for file in files}
    items = _retrieval_items(offsets)
    for file in files:
        report = FileReport(file, offsets[file])
        path = None if quarantine is None else quarantine / f"{file.name}.quarantine.jsonl"
        with nullcontext() if path is None else writing_durably(path) as out:
            gate = Gate(items=items or None)
            for line in read_lines(file):
                verdict = gate.verdict(line, offsets[file])
                report.add(verdict)
                if out is not None:
                    _write_quarantined(verdict, out)
        yield report


def _retrieval_items(files: Mapping[Path, FileOffsets]) -> ItemIds:
    """The ids of the retrieval items in ``files``, each with how its spans are counted."""
    found = ItemIds()
    for file, offsets in files.items():
        gate = Gate(accepts=FORMATS_OF_ROLE["retrieval"])
        for line in read_lines(file):
            if not line.too_long and b'"candidates"' in line.content:
                found.add(gate.verdict(line, offsets))
    return found


class QuarantinedLine(Struct, frozen=True, omit_defaults=True):
    """A line of a quarantine file; users repair ``raw`` and check it again.

    Attributes:
        line: its number in the checked file.
        reason, says, detail: why it is quarantined.
        length: number of bytes; of a line longer than 4 MiB only the first 64 KiB are kept.
        raw: its content, if it is UTF-8.
        base64: its content, if it is not.
    """

    line: int
    reason: Reason
    says: str
    detail: str
    length: int
    raw: str | None = None
    base64: str | None = None


def _write_quarantined(verdict: Verdict, out: BinaryIO) -> None:
    """Write the line of ``verdict`` to ``out`` if it is quarantined."""
    reason = verdict.quarantined
    if reason is None:
        return
    content = verdict.line.content
    raw, base64 = None, None
    try:
        raw = content.decode()
    except UnicodeDecodeError:
        base64 = b64encode(content).decode()
    kept = QuarantinedLine(
        verdict.line.number, reason.reason, reason.reason.sentence, reason.detail, verdict.line.length, raw, base64
    )
    out.write(msgspec.json.encode(kept) + b"\n")


_MAX_LINE_NUMBERS = 10
Name = TypeVar("Name", Reason, Repair)


def report_rows(report: FileReport) -> Iterator[str]:
    """A report as rows of text: one per format, then repairs and reasons with their first ten line numbers."""
    blank = f", {report.blank:,} blank" if report.blank else ""
    yield f"{printable_line(str(report.file))}: {report.lines:,} lines{blank}"
    yield f"  {'format':<32}{'kept':>10}{'repaired':>10}{'quarantined':>13}"
    for name, counts in sorted(report.formats.items(), key=lambda item: item[0] or "~"):
        yield _row(name or "not recognised", counts)
    if len(report.formats) > 1:
        yield _row("all", report.total)
    yield from _offsets(report)
    yield from _group("repaired", report.repaired)
    yield from _group("quarantined", report.quarantined)


def report_summary(report: FileReport) -> Iterator[str]:
    """A report as one row, such as ``items.jsonl: 11 kept, 1 repaired, 0 quarantined (retrieval)``, and repairs and reasons."""
    total, formats = report.total, ", ".join(sorted(name for name in report.formats if name))
    counts = f"{total.kept:,} kept, {total.repaired:,} repaired, {total.quarantined:,} quarantined"
    yield f"{printable_line(str(report.file))}: {counts} ({formats})"
    yield from _offsets(report)
    yield from _group("repaired", report.repaired)
    yield from _group("quarantined", report.quarantined)


def _row(name: str, counts: Counts) -> str:
    return f"  {name:<32}{counts.kept:>10,}{counts.repaired:>10,}{counts.quarantined:>13,}"


def _offsets(report: FileReport) -> Iterator[str]:
    if said := str(report.offsets):
        yield f"  {said}"


def _group(title: str, groups: Mapping[Name, LineGroup]) -> Iterator[str]:
    """Two rows for each repair or reason, the most frequent first."""
    for name, found in sorted(groups.items(), key=lambda item: -len(item[1].lines)):
        more = len(found.lines) - _MAX_LINE_NUMBERS
        lines = ", ".join(map(str, found.lines[:_MAX_LINE_NUMBERS])) + (f" and {more:,} more" if more > 0 else "")
        yield f"  {title} {len(found.lines):,} · {name}: {name.sentence}"
        example = f"; the first: {found.example}" if found.example else ""
        yield f"    {'line' if len(found.lines) == 1 else 'lines'} {lines}{example}"


def reports_as_json(reports: Sequence[FileReport]) -> dict[str, Any]:
    """All reports with all line numbers, for JSON."""
    files = [
        {
            "file": str(report.file),
            "lines": report.lines,
            "blank": report.blank,
            **structs.asdict(report.total),
            "formats": {name or "not recognised": structs.asdict(counts) for name, counts in report.formats.items()},
            "spans": report.offsets.as_json(),
            "repairs": _groups_json(report.repaired),
            "reasons": _groups_json(report.quarantined),
        }
        for report in reports
    ]
    return {"most_quarantined": MAX_QUARANTINED_SHARE, "files": files}


def _groups_json(groups: Mapping[Name, LineGroup]) -> dict[str, Any]:
    return {
        name: {"says": name.sentence, "lines": found.lines, "first": found.example} for name, found in groups.items()
    }
