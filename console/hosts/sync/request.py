"""What a sync is asked to do, whichever way it goes."""

from __future__ import annotations

import glob
import hashlib
from pathlib import Path

from msgspec import Struct

from console.hosts.sync.local_folder import EXCLUDES


class SyncRequest(Struct, frozen=True):
    """One folder here and one there.

    Attributes:
        local: folder of this machine.
        remote: folder of the host: a path below its workspace or, to pull from, an absolute one.
        notes: folder of this machine that keeps hashes and receipts of this pair of folders; never synced itself.
        host: the host's name, for the receipt.
        excludes: patterns of what neither end looks at: without ``/`` of a name, with it of a whole path.
        afresh: trust no hash from before: read every file at both ends.
        rehearse: only say what would be done.
    """

    local: Path
    remote: str
    notes: Path
    host: str = ""
    excludes: tuple[str, ...] = EXCLUDES
    afresh: bool = False
    rehearse: bool = False

    @property
    def patterns(self) -> list[str]:
        """``excludes``, and the notes where they lie within the folder."""
        if self.notes.is_relative_to(self.local):
            return [*self.excludes, glob.escape(self.notes.relative_to(self.local).as_posix())]
        return list(self.excludes)


def notes_of(home: Path, host: str, local: Path, remote: str) -> Path:
    """Where a console that keeps runs in ``home`` keeps what it knows of one pair of folders."""
    pair = hashlib.sha256(f"{local}\0{remote}".encode()).hexdigest()[:16]
    return home / ".sync" / host / pair
