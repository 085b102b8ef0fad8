"""Sync request: which local and remote folder, with which options; and the index of the local folder."""

from __future__ import annotations

import glob
import hashlib
from pathlib import Path

from msgspec import Struct

from console.hosts.agent.file_index import FileIndex, HashCache, index_files
from console.hosts.agent.safe_dir import SafeDir
from console.hosts.transfer.errors import SyncFailed

EXCLUDES = ("*.pt", "*.pth", "__pycache__", ".git", ".venv", "runs")  # large, or made again by each machine


class SyncRequest(Struct, frozen=True):
    """One local folder and one remote folder.

    Attributes:
        remote: path below the host's workspace; to pull from, also an absolute path.
        records: local folder for the hash cache and receipts of this pair of folders; never synced itself.
        host: the host's name, for the receipt.
        excludes: patterns of paths that both ends ignore; one without ``/`` matches a name, else a whole path.
        ignore_cache: trust no cached hash, read every file at both ends.
        dry_run: report what would be done, and change nothing.
    """

    local: Path
    remote: str
    records: Path
    host: str = ""
    excludes: tuple[str, ...] = EXCLUDES
    ignore_cache: bool = False
    dry_run: bool = False

    @property
    def patterns(self) -> list[str]:
        """``excludes``, and the records folder if it is within the local folder."""
        if self.records.is_relative_to(self.local):
            return [*self.excludes, glob.escape(self.records.relative_to(self.local).as_posix())]
        return list(self.excludes)

    @property
    def hash_cache_file(self) -> Path:
        return self.records / "hashes.json"


def records_folder(runs_dir: Path, host: str, local: Path, remote: str) -> Path:
    """Records folder of one pair of folders, below ``runs_dir``."""
    pair = hashlib.sha256(f"{local}\0{remote}".encode()).hexdigest()[:16]
    return runs_dir / ".sync" / host / pair


def index_local(request: SyncRequest) -> FileIndex:
    """Files of the local folder with their hashes; a missing folder has none. Blocking.

    Raises:
        SyncFailed: it is no folder, or cannot be read.
    """
    if not request.local.exists():
        return FileIndex([], [])
    try:
        with SafeDir(request.local) as root:
            cache = HashCache(None if request.ignore_cache else request.hash_cache_file)
            file_index = index_files(root, request.patterns, cache)
            cache.save()
            return file_index
    except OSError as error:
        raise SyncFailed(f"{request.local}: {error}") from error
