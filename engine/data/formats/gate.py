"""The integrity gate: decides whether a line is blank, kept, repaired or quarantined, and counts the lines of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import NamedTuple, TypeAlias

from msgspec import Struct, structs

from engine.contract.bad_input import BadInput
from engine.data.formats.bundle_lines import bundles_of_21, bundles_of_contrastive
from engine.data.formats.evaluation_lines import attention_probe, coherence_item, killer_of, retrieval_item
from engine.data.formats.lines import Line, decode_line, item_id_of, read_lines
from engine.data.formats.offsets import PLAIN_FILE, FileOffsets, TargetSpan, recognise
from engine.data.formats.reasons import Quarantined, Reason, Repair
from engine.data.formats.schemas import (
    BUNDLES,
    Attention,
    Bundle21,
    Coherence,
    Contrastive,
    Format,
    KillerLine,
    Retrieval,
    Schema,
)
from engine.data.formats.usages import LineReading, spans_of
from engine.data.records import AttentionProbe, Bundle, CoherenceItem, Killer, RetrievalItem

Record: TypeAlias = Bundle | RetrievalItem | CoherenceItem | AttentionProbe | Killer

MAX_QUARANTINED_SHARE = 0.20
"""A file with a larger share of its records in quarantine is not used."""


class Verdict(NamedTuple):
    """Outcome of one line at the gate: blank, kept, repaired or quarantined.

    Attributes:
        line: the line.
        format: its format; None where it could not be detected.
        records: the records read from it; empty for a blank or a quarantined line.
        repairs: each repair with its position in the line.
        quarantined: the reason why it must not be used.
    """

    line: Line
    format: Format | None = None
    records: tuple[Record, ...] = ()
    repairs: tuple[tuple[Repair, str], ...] = ()
    quarantined: Quarantined | None = None


def file_offsets(path: Path) -> FileOffsets:
    """How the spans of the file ``path`` are counted, by all of its lines that can be decoded.

    Raises:
        BadInput: it cannot be read as lines.
    """
    return recognise(span for line in read_lines(path) for span in _spans(line))


def _spans(line: Line) -> Iterator[TargetSpan]:
    if line.blank or line.too_long:
        return
    try:
        _, decoded = decode_line(line.content)
    except Quarantined:
        return
    yield from spans_of(decoded)


class ItemIds:
    """Ids of the retrieval items that killers may name: ``kept`` passed the gate, ``quarantined`` did not."""

    def __init__(self, kept: Iterable[str] = ()) -> None:
        self.kept = set(kept)
        self.quarantined: set[str] = set()

    def __len__(self) -> int:
        return len(self.kept) + len(self.quarantined)

    def add(self, verdict: Verdict) -> None:
        """Add the ids of a line of retrieval items."""
        self.kept.update(record.item_id for record in verdict.records if isinstance(record, RetrievalItem))
        if verdict.quarantined is not None and (item := item_id_of(verdict.line.content)):
            self.quarantined.add(item)


class Gate:
    """Checks lines one after another; ids must be unique among all lines that pass one gate.

    Args:
        accepts: the formats that may pass; None is all.
        items: the retrieval items that killers may name; None is any.
    """

    def __init__(self, accepts: Set[Format] | None = None, items: ItemIds | None = None) -> None:
        self.accepts = accepts
        self.items = items
        self._ids: set[tuple[str, str]] = set()

    def verdict(self, line: Line, offsets: FileOffsets = PLAIN_FILE) -> Verdict:
        """The verdict on one line of a file whose spans are counted as ``offsets`` says."""
        if line.blank and not line.too_long:
            return Verdict(line)
        known: Format | None = None
        reading = LineReading(offsets)
        if line.has_bom:
            reading.repaired(Repair.BYTE_ORDER_MARK, "")
        try:
            if line.too_long:
                raise Quarantined(Reason.LINE_TOO_LONG, f"{line.length} bytes")
            known, decoded = decode_line(line.content)
            if self.accepts is not None and known not in self.accepts:
                raise Quarantined(Reason.OTHER_FORMAT, known)
            records = self._read(decoded, reading)
            self._require_new_id(known, decoded)
        except Quarantined as reason:
            return Verdict(line, known, quarantined=reason)
        return Verdict(line, known, records, tuple(reading.repairs))

    def _read(self, decoded: Schema, reading: LineReading) -> tuple[Record, ...]:
        match decoded:
            case Bundle21():
                return bundles_of_21(decoded, reading)
            case Contrastive():
                return bundles_of_contrastive(decoded, reading)
            case Retrieval():
                return (retrieval_item(decoded, reading),)
            case Coherence():
                return (coherence_item(decoded, reading),)
            case Attention():
                return (attention_probe(decoded, reading),)
            case KillerLine():
                kept, quarantined = (
                    (self.items.kept, self.items.quarantined) if self.items is not None else (None, set())
                )
                return (killer_of(decoded, kept, quarantined),)

    def _require_new_id(self, known: Format, decoded: Schema) -> None:
        match decoded:
            case Contrastive(id=number, bundle_id=other):
                name = number if number is not None else other
            case Bundle21(bundle_id=name):
                pass
            case _:
                name = decoded.eval_id
        key = ("bundle" if known in BUNDLES else known, str(name))
        if key in self._ids:
            raise Quarantined(Reason.DUPLICATE_ID, str(name))
        self._ids.add(key)


class Counts(Struct):
    """Number of lines kept unchanged, kept after a repair, and quarantined."""

    kept: int = 0
    repaired: int = 0
    quarantined: int = 0

    @property
    def records(self) -> int:
        return self.kept + self.repaired + self.quarantined


class LineGroup(Struct):
    """The numbers of the lines with the same reason or repair, from 1, and the detail of the first."""

    lines: list[int]
    example: str


class FileReport(Struct):
    """Counts of the outcomes of all lines of ``file``; lines of undetected format are counted under ``None``."""

    file: Path
    offsets: FileOffsets = PLAIN_FILE
    lines: int = 0
    blank: int = 0
    formats: dict[Format | None, Counts] = {}
    quarantined: dict[Reason, LineGroup] = {}
    repaired: dict[Repair, LineGroup] = {}

    @property
    def total(self) -> Counts:
        """The sum over all formats."""
        rows = map(structs.astuple, self.formats.values())
        return Counts(*map(sum, zip(*rows, strict=True)))

    def add(self, verdict: Verdict) -> None:
        """Count one line; a line is counted once, whatever it holds."""
        self.lines += 1
        number = verdict.line.number
        if verdict.quarantined is None and verdict.format is None:
            self.blank += 1
            return
        counts = self.formats.setdefault(verdict.format, Counts())
        if verdict.quarantined is not None:
            counts.quarantined += 1
            reason, detail = verdict.quarantined.reason, verdict.quarantined.detail
            self.quarantined.setdefault(reason, LineGroup([], detail)).lines.append(number)
        elif verdict.repairs:
            counts.repaired += 1
            # reversed, so that of several repairs of one kind the first one is kept
            for repair, where in dict(reversed(verdict.repairs)).items():
                self.repaired.setdefault(repair, LineGroup([], where)).lines.append(number)
        else:
            counts.kept += 1

    def raise_if_unusable(self) -> None:
        """Refuse a file that has no records, or too many in quarantine.

        Raises:
            BadInput: with the most frequent reason and the first line that has it.
        """
        records = self.total.records
        if not records:
            raise BadInput("holds no records", file=self.file)
        # a killer of an item that is in quarantine is no fault of its own file
        faults = {reason: found for reason, found in self.quarantined.items() if reason is not Reason.ITEM_QUARANTINED}
        count = sum(len(found.lines) for found in faults.values())
        share = count / records
        if share <= MAX_QUARANTINED_SHARE:
            return
        reason, found = max(faults.items(), key=lambda item: len(item[1].lines))
        if len(found.lines) == records and reason is Reason.UNKNOWN_ITEM:
            message = f"none of its {records} killers names a retrieval item; the first names {found.example}"
        else:
            message = (
                f"{count} of {records} records quarantined ({share:.0%}, at most {MAX_QUARANTINED_SHARE:.0%}); "
                f"most often ({len(found.lines)}): {reason.sentence}"
            )
            message += f"; the first: {found.example}" if found.example else ""
        raise BadInput(message, file=self.file, line=found.lines[0])
