"""Keeps quarantined lines beside the reasons, so that they can be mended and given again."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from engine.data.formats.gate import Verdict
from engine.data.formats.reasons import REASONS, Reason


class QuarantinedLine(Struct, frozen=True, omit_defaults=True):
    """One line of a quarantine file.

    Attributes:
        line: its number in the file it comes from.
        reason, says, detail: why.
        length: how many bytes the line has; of one longer than 4 MiB only the first 64 KiB are kept.
        raw: its bytes as text, if they are UTF-8.
        base64: its bytes, if they are not.
    """

    line: int
    reason: Reason
    says: str
    detail: str
    length: int
    raw: str | None = None
    base64: str | None = None


def quarantine_file(folder: Path, file: Path) -> Path:
    """Where the quarantined lines of ``file`` are kept."""
    return folder / f"{file.name}.quarantine.jsonl"


def keep(verdict: Verdict, out: BinaryIO) -> None:
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
