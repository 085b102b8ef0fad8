"""What a sync is asked to do, and the local folder it is asked to do it with; every function here blocks."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from console.hosts.agent.file_index import FileIndex, HashCache, index_files
from console.hosts.agent.safe_dir import SafeDir

EXCLUDES = ("*.pt", "*.pth", "__pycache__", ".git", ".venv", "runs")


def index_local(folder: Path, excludes: Sequence[str], notes: Path, *, afresh: bool = False) -> FileIndex:
    """What ``folder`` holds; one that is not there holds nothing.

    Args:
        notes: where hashes are kept from one time to the next.
        afresh: trust no hash from before.

    Raises:
        OSError: it is no folder, or cannot be read.
    """
    if not folder.exists():
        return FileIndex([], [])
    with SafeDir(folder) as root:
        cache = HashCache(None if afresh else hashes_in(notes))
        file_index = index_files(root, excludes, cache)
        cache.save()
        return file_index


def hashes_in(notes: Path) -> Path:
    """The file that keeps hashes."""
    return notes / "hashes.json"


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


def notes_of(runs_dir: Path, host: str, local: Path, remote: str) -> Path:
    """Where a console that keeps runs in ``runs_dir`` keeps what it knows of one pair of folders."""
    pair = hashlib.sha256(f"{local}\0{remote}".encode()).hexdigest()[:16]
    return runs_dir / ".sync" / host / pair
