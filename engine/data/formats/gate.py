"""The integrity gate: every line of a file is blank, kept, repaired or quarantined, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple, TypeAlias

from engine.data.formats.bundle_lines import bundles_of_21, bundles_of_contrastive
from engine.data.formats.decoding import decode_line
from engine.data.formats.evaluation_lines import attention_probe, coherence_item, killer, retrieval_item
from engine.data.formats.lines import Line
from engine.data.formats.reasons import Quarantined, Repair
from engine.data.formats.schemas import (
    BUNDLES,
    Attention,
    Bundle21,
    Coherence,
    Contrastive,
    Format,
    KillerLine,
    Retrieval,
    Shape,
)
from engine.data.formats.usages import Repairs
from engine.data.records import AttentionProbe, Bundle, CoherenceItem, Killer, RetrievalItem

Record: TypeAlias = Bundle | RetrievalItem | CoherenceItem | AttentionProbe | Killer


class Verdict(NamedTuple):
    """What became of a line.

    Attributes:
        line: the line.
        format: its format, None where that could not be told.
        records: what was read from it; none of a blank or a quarantined line.
        repairs: what was repaired, and where in the line.
        quarantined: why it must not be used.
    """

    line: Line
    format: Format | None = None
    records: tuple[Record, ...] = ()
    repairs: tuple[tuple[Repair, str], ...] = ()
    quarantined: Quarantined | None = None


class Gate:
    """Judges lines one after another; ids must be unique among all that one gate lets pass.

    Args:
        accepts: the formats that pass; None is every known one.
        items: the ids of the retrieval items that killers may name; None is any.
    """

    def __init__(self, accepts: Set[Format] | None = None, items: Set[str] | None = None) -> None:
        self.accepts = accepts
        self.items = items
        self._ids: set[tuple[str, str]] = set()

    def judge(self, lines: Iterable[Line]) -> Iterator[Verdict]:
        """The verdict on each line, in order."""
        return map(self.verdict, lines)

    def verdict(self, line: Line) -> Verdict:
        """The verdict on one line."""
        if line.blank and not line.too_long:
            return Verdict(line)
        known: Format | None = None
        repairs = Repairs()
        if line.marked:
            repairs.add("byte_order_mark", "")
        try:
            if line.too_long:
                raise Quarantined("line_too_long", f"{line.length} bytes")
            known, shape = decode_line(line.content)
            if self.accepts is not None and known not in self.accepts:
                raise Quarantined("other_format", known)
            records = self._read(shape, repairs)
            self._claim_id(known, shape)
        except Quarantined as reason:
            return Verdict(line, known, quarantined=reason)
        return Verdict(line, known, records, tuple(repairs.made))

    def _read(self, shape: Shape, repairs: Repairs) -> tuple[Record, ...]:
        match shape:
            case Bundle21():
                return bundles_of_21(shape, repairs)
            case Contrastive():
                return bundles_of_contrastive(shape, repairs)
            case Retrieval():
                return (retrieval_item(shape, repairs),)
            case Coherence():
                return (coherence_item(shape, repairs),)
            case Attention():
                return (attention_probe(shape, repairs),)
            case KillerLine():
                return (killer(shape, self.items),)

    def _claim_id(self, known: Format, shape: Shape) -> None:
        match shape:
            case Contrastive(id=number, bundle_id=other):
                name = number if number is not None else other
            case Bundle21(bundle_id=name):
                pass
            case _:
                name = shape.eval_id
        claim = ("bundle" if known in BUNDLES else known, str(name))
        if claim in self._ids:
            raise Quarantined("duplicate_id", str(name))
        self._ids.add(claim)
