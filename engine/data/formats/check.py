"""Checks users' files with the integrity gate; reports as text and JSON; keeps quarantined lines for repair."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
from msgspec import Struct

from engine.contract.bad_input import BadInput
from engine.contract.durable import writing_durably
from engine.data.formats.gate import MAX_QUARANTINED_SHARE, Counts, FileReport, Gate, LineGroup, Verdict
from engine.data.formats.lines import Line, read_lines
from engine.data.formats.reasons import REASONS, REPAIRS, Reason, printable
from engine.data.formats.schemas import FORMATS_OF_ROLE
from engine.data.records import RetrievalItem


def check_files(files: Sequence[Path], quarantine: Path | None = None) -> Iterator[FileReport]:
    """Check each file and report on it; killers must name retrieval items, if any of the files holds some.

    Args:
        files: one or more; ids must be unique within each.
        quarantine: folder for each file's quarantined lines, made when missing.

    Raises:
        BadInput: a file cannot be read as lines, or two files with the same name would share a quarantine file.
    """
    if quarantine is not None:
        _require_distinct_names(files)
        quarantine.mkdir(parents=True, exist_ok=True)
    items = {item for file in files for item in _retrieval_items(file)}
    for file in files:
        report = FileReport(file)
        path = None if quarantine is None else quarantine_file(quarantine, file)
        with nullcontext() if path is None else writing_durably(path) as out:
            for verdict in Gate(items=items or None).verdicts(read_lines(file)):
                report.add(verdict)
                if out is not None:
                    write_quarantined(verdict, out)
        yield report


def _retrieval_items(file: Path) -> Iterator[str]:
    """The ids of the retrieval items of ``file`` that pass the gate."""
    gate = Gate(accepts=FORMATS_OF_ROLE["retrieval"])
    for verdict in gate.verdicts(line for line in read_lines(file) if _may_be_retrieval(line)):
        yield from (record.item_id for record in verdict.records if isinstance(record, RetrievalItem))


def _may_be_retrieval(line: Line) -> bool:
    return not line.too_long and b'"candidates"' in line.content


def _require_distinct_names(files: Sequence[Path]) -> None:
    name, count = Counter(file.name for file in files).most_common(1)[0]
    if count > 1:
        raise BadInput(f"{count} files are called {name}; quarantine them one at a time", field="--quarantine")


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


def quarantine_file(folder: Path, file: Path) -> Path:
    """The file in ``folder`` for the quarantined lines of ``file``."""
    return folder / f"{file.name}.quarantine.jsonl"


def write_quarantined(verdict: Verdict, out: BinaryIO) -> None:
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
        verdict.line.number, reason.reason, REASONS[reason.reason], reason.detail, verdict.line.length, raw, base64
    )
    out.write(msgspec.json.encode(kept) + b"\n")


_MAX_LINE_NUMBERS = 10
Name = TypeVar("Name", bound=str)


def report_text(report: FileReport) -> str:
    """A report as text: one row per format, then repairs and reasons with their first ten line numbers."""
    return "\n".join(_rows(report))


def _rows(report: FileReport) -> Iterator[str]:
    total = report.total
    blank = f", {report.blank:,} blank" if report.blank else ""
    yield f"{printable(str(report.file))}: {report.lines:,} lines{blank}"
    yield f"  {'format':<32}{'kept':>10}{'repaired':>10}{'quarantined':>13}"
    for name, counts in sorted(report.formats.items(), key=lambda item: item[0] or "~"):
        yield _row(name or "not recognised", counts)
    if len(report.formats) > 1:
        yield _row("all", total)
    yield from _group("repaired", report.repaired, REPAIRS)
    yield from _group("quarantined", report.quarantined, REASONS)


def _row(name: str, counts: Counts) -> str:
    return f"  {name:<32}{counts.kept:>10,}{counts.repaired:>10,}{counts.quarantined:>13,}"


def _group(title: str, groups: Mapping[Name, LineGroup], sentences: Mapping[Name, str]) -> Iterator[str]:
    """Two rows for each repair or reason, the most frequent first."""
    for name, found in sorted(groups.items(), key=lambda item: -len(item[1].lines)):
        more = len(found.lines) - _MAX_LINE_NUMBERS
        lines = ", ".join(map(str, found.lines[:_MAX_LINE_NUMBERS])) + (f" and {more:,} more" if more > 0 else "")
        yield f"  {title} {len(found.lines):,} · {name}: {sentences[name]}"
        example = f"; the first: {found.example}" if found.example else ""
        yield f"    {'line' if len(found.lines) == 1 else 'lines'} {lines}{example}"


def reports_as_json(reports: Sequence[FileReport]) -> dict[str, Any]:
    """All reports with all line numbers, for JSON."""
    return {"most_quarantined": MAX_QUARANTINED_SHARE, "files": [_file_json(report) for report in reports]}


def _file_json(report: FileReport) -> dict[str, Any]:
    return {
        "file": str(report.file),
        "lines": report.lines,
        "blank": report.blank,
        **_counts_json(report.total),
        "formats": {name or "not recognised": _counts_json(counts) for name, counts in report.formats.items()},
        "repairs": _groups_json(report.repaired, REPAIRS),
        "reasons": _groups_json(report.quarantined, REASONS),
    }


def _counts_json(counts: Counts) -> dict[str, int]:
    return {"kept": counts.kept, "repaired": counts.repaired, "quarantined": counts.quarantined}


def _groups_json(groups: Mapping[Name, LineGroup], sentences: Mapping[Name, str]) -> dict[str, Any]:
    return {
        name: {"says": sentences[name], "lines": found.lines, "first": found.example} for name, found in groups.items()
    }
