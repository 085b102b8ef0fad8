"""Verdict of a folder sync: in full sync or not, with numbers; its progress, and the receipt that both ends keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from console.format import counted
from console.hosts.transfer.plan import PathProblem


class Progress(Struct, frozen=True):
    """Progress of a transfer; ``bytes_done`` includes what an interrupted one left; ``note``: why it begins again."""

    files: int
    bytes: int
    bytes_done: int
    note: str = ""


Report = Callable[[Progress], None]


class Verdict(Struct, frozen=True):
    """Result of a folder sync.

    Attributes:
        files, bytes, fingerprint: of what both ends hold equally, indexed again at both ends after the last byte.
        transferred_files, transferred_bytes: what crossed the link.
        removed: files deleted at the target.
        not_synced: files that differ, with reasons; after a dry run those that would change.
        refused: paths that cannot be synced at all: symlinks, special files, unsafe names.
        seconds: duration.
    """

    direction: Literal["push", "pull"]
    files: int
    bytes: int
    fingerprint: str
    transferred_files: int
    transferred_bytes: int
    removed: int
    not_synced: tuple[PathProblem, ...]
    refused: tuple[PathProblem, ...]
    seconds: float
    dry_run: bool = False

    @property
    def full(self) -> bool:
        """Whether everything is synced."""
        return not self.not_synced and not self.refused

    def sentence(self) -> str:
        """The verdict in one sentence."""
        synced = f"{counted(self.files, 'file')}, {self.bytes:,} bytes"
        transferred = f"{counted(self.transferred_files, 'file')} transferred, {self.transferred_bytes:,} bytes"
        if self.removed:
            transferred += f"; {self.removed:,} deleted"
        if self.dry_run:
            return f"dry run: {counted(len(self.not_synced), 'file')} would change; synced: {synced}"
        if self.full:
            return f"full sync: {synced} ({transferred}, {self.seconds:.1f} s)"
        counts = ((self.not_synced, "not synced"), (self.refused, "refused"))
        lacks = [f"{len(problems):,} {name}" for problems, name in counts if problems]
        return f"NOT in full sync: {', '.join(lacks)}; synced: {synced} ({transferred})"


class Receipt(Struct, frozen=True):
    """A verdict with host, folders and Unix time; kept as JSON at both ends."""

    host: str
    host_key: str
    remote: str
    local: str
    ended_at: float
    verdict: Verdict
