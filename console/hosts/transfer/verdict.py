"""How a sync ended: in step or not, with numbers; and the receipt of it that both ends keep."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from console.hosts.agent import transfer as agent_transfer
from console.hosts.agent.disk import DiskFull
from console.hosts.transfer.errors import NoRoom
from console.hosts.transfer.plan import Refusal


class Progress(Struct, frozen=True):
    """How far a transfer is; bytes count what was there already from a broken one."""

    files: int
    bytes: int
    bytes_done: int


class Verdict(Struct, frozen=True):
    """What a sync came to.

    Attributes:
        files, bytes: what both ends hold alike, counted afresh at both after the last byte; ``fingerprint`` is of that.
        moved_files, moved_bytes: what travelled.
        removed: files deleted at the target.
        differing: what is not in step, and why.
        refused: what cannot be synced at all: symlinks, special files, hostile names.
        planned: a rehearsal: nothing was moved, and ``differing`` is what would be.
    """

    direction: Literal["push", "pull"]
    files: int
    bytes: int
    fingerprint: str
    moved_files: int
    moved_bytes: int
    removed: int
    differing: tuple[Refusal, ...]
    refused: tuple[Refusal, ...]
    seconds: float
    planned: bool = False

    @property
    def full(self) -> bool:
        """Whether nothing is missing."""
        return not self.differing and not self.refused

    def sentence(self) -> str:
        """The verdict for a person."""
        held = f"{_number(self.files, 'file')}, {self.bytes:,} bytes"
        moved = f"{_number(self.moved_files, 'file')} moved, {self.moved_bytes:,} bytes"
        if self.removed:
            moved += f"; {self.removed:,} deleted"
        if self.planned:
            return f"a rehearsal: {_number(len(self.differing), 'file')} would change; in step: {held}"
        if self.full:
            return f"full sync: {held} ({moved}, {self.seconds:.1f} s)"
        lacks = [
            f"{len(part):,} {name}" for part, name in ((self.differing, "differ"), (self.refused, "refused")) if part
        ]
        return f"NOT in full sync: {', '.join(lacks)}; in step: {held} ({moved})"


class Receipt(Struct, frozen=True):
    """A verdict with where and when; kept as JSON at both ends."""

    host: str
    host_key: str
    remote: str
    local: str
    ended_at: float
    verdict: Verdict


def keep_receipt(folder: Path, receipt: Receipt) -> Path:
    """Write ``receipt`` below ``folder``; blocking.

    Raises:
        NoRoom: this machine's disk has no room for it.
        OSError: it cannot be written.
    """
    try:
        return agent_transfer.keep_receipt(folder, msgspec.json.format(msgspec.json.encode(receipt)) + b"\n")
    except DiskFull as full:
        raise NoRoom("this machine", full.disk, full.missing) from full


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
