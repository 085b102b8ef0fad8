"""What became of the lines of a file, counted; no line is counted twice and none is left out."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from engine.contract.bad_input import BadInput
from engine.data.formats.gate import Verdict
from engine.data.formats.reasons import REASONS, Reason, Repair
from engine.data.formats.schemas import Format

MOST_QUARANTINED = 0.20
"""A file with a larger share of its records in quarantine is not used."""


class Counts(Struct):
    """How many lines were kept as they are, kept after a repair, and quarantined."""

    kept: int = 0
    repaired: int = 0
    quarantined: int = 0

    @property
    def records(self) -> int:
        return self.kept + self.repaired + self.quarantined


class Found(Struct):
    """The lines with one reason or one repair, from 1, and the detail of the first."""

    lines: list[int]
    example: str


class Tally(Struct):
    """What became of the lines of ``file``; an unrecognised line is counted under the format ``None``."""

    file: Path
    lines: int = 0
    blank: int = 0
    formats: dict[Format | None, Counts] = {}
    quarantined: dict[Reason, Found] = {}
    repaired: dict[Repair, Found] = {}

    @property
    def total(self) -> Counts:
        """All formats together."""
        each = self.formats.values()
        return Counts(
            sum(one.kept for one in each), sum(one.repaired for one in each), sum(one.quarantined for one in each)
        )

    def add(self, verdict: Verdict) -> None:
        """Count one line."""
        self.lines += 1
        number = verdict.line.number
        if verdict.quarantined is not None:
            self.formats.setdefault(verdict.format, Counts()).quarantined += 1
            reason = verdict.quarantined
            self.quarantined.setdefault(reason.reason, Found([], reason.detail)).lines.append(number)
        elif verdict.format is None:
            self.blank += 1
        elif verdict.repairs:
            self.formats.setdefault(verdict.format, Counts()).repaired += 1
            for repair, where in dict(reversed(verdict.repairs)).items():
                self.repaired.setdefault(repair, Found([], where)).lines.append(number)
        else:
            self.formats.setdefault(verdict.format, Counts()).kept += 1

    def refuse_if_bad(self) -> None:
        """Refuse a file that has no records, or too many in quarantine.

        Raises:
            BadInput: naming the commonest reason and the first line with it.
        """
        total = self.total
        if not total.records:
            raise BadInput("holds no records", file=self.file)
        share = total.quarantined / total.records
        if share <= MOST_QUARANTINED:
            return
        reason, found = max(self.quarantined.items(), key=lambda item: len(item[1].lines))
        raise BadInput(
            f"{total.quarantined} of {total.records} records quarantined ({share:.0%}, at most {MOST_QUARANTINED:.0%}); "
            f"most often ({len(found.lines)}): {REASONS[reason]}",
            file=self.file,
            line=found.lines[0],
        )
