"""Index of a folder: path, size and SHA-256 of every file. Hashes are cached, and computed behind a writer."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from console.hosts.agent.safe_dir import MAX_OPEN, READ_FLAGS, RESERVED, SafeDir, UnexpectedFile, unsafe_reason
from engine.contract.durable import write_durably
from engine.contract.run_folder import capsule_fingerprint

BLOCK = 1 << 20  # bytes read at once
FLUSH = 64 << 20  # bytes after which a file that is being written is sent to the disk
# Time stamps advance in ticks: a file that changes twice within one tick looks unchanged. A hash is used again only if it
# was computed at least a tick after the file's last change.
TICK_NS = 100_000_000  # above the kernel's 1-10 ms, with room for network file systems
COARSE_TICK_NS = 2_000_000_000  # for file systems that keep whole seconds (FAT: every second one)


class Entry(NamedTuple):
    """One file: path below the root with ``/``, size in bytes, SHA-256 in hex, whether its owner may execute it."""

    path: str
    size: int
    sha256: str
    executable: bool


class FileIndex(NamedTuple):
    """The files in path order, and (path, reason) of everything that cannot be synced."""

    files: list[Entry]
    refused: list[tuple[str, str]]


def fingerprint(files: Iterable[Entry]) -> str:
    """Fingerprint of a folder with these files, computed like that of a capsule."""
    return capsule_fingerprint(entry[:3] for entry in files)


def index_files(root: SafeDir, excludes: Sequence[str], cache: HashCache) -> FileIndex:
    """Index all files below ``root``. Symlinks and special files are not followed or read, but listed as refused."""
    files: list[Entry] = []
    refused: list[tuple[str, str]] = []
    pending: list[tuple[str, ...]] = [()]
    while pending:
        parts = pending.pop()
        root.close_folders(above=MAX_OPEN)
        try:
            folder = root.folder(parts)
            with os.scandir(folder) as listing:
                found = list(listing)
        except (OSError, UnexpectedFile) as error:
            refused.append(("/".join(parts), f"it cannot be read: {error}"))
            continue
        for item in found:
            path = "/".join((*parts, item.name))
            if item.name == RESERVED or excluded(path, excludes):
                continue
            if reason := unsafe_reason(path):
                refused.append((path, reason))
            elif item.is_dir(follow_symlinks=False):
                pending.append((*parts, item.name))
            else:
                try:
                    files.append(_entry(folder, item.name, path, cache))
                except (OSError, UnexpectedFile) as error:
                    refused.append((path, str(error)))
    root.close_folders()
    return FileIndex(sorted(files), sorted(refused))


def excluded(path: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern matches: one without ``/`` the last name of ``path``, one with it the whole path."""
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)


def _entry(folder: int, name: str, path: str, cache: HashCache) -> Entry:
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise UnexpectedFile("it is a symlink" if stat.S_ISLNK(status.st_mode) else "it is no regular file")
    sha256 = cache.find(path, status)
    if sha256 is None:
        sha256, status = _hash_unchanged(folder, name)
        cache.keep(path, status, sha256)
    return Entry(path, status.st_size, sha256, bool(status.st_mode & 0o100))


def _hash_unchanged(folder: int, name: str) -> tuple[str, os.stat_result]:
    """SHA-256 and status of a file that did not change while it was read; tried twice."""
    for _ in range(2):
        handle = os.open(name, READ_FLAGS, dir_fd=folder)
        try:
            before = os.fstat(handle)
            _, digest = hash_prefix(handle, before.st_size)
            if unchanged(before, os.fstat(handle)) and stat.S_ISREG(before.st_mode):
                return digest.hexdigest(), before
        finally:
            os.close(handle)
    raise UnexpectedFile("it changes while it is read")


def hash_prefix(handle: int, limit: int) -> tuple[int, hashlib._Hash]:
    """Size and running SHA-256 of the first ``limit`` bytes; ``handle`` must be at the start."""
    digest, size = hashlib.sha256(), 0
    while size < limit and (chunk := os.read(handle, min(BLOCK, limit - size))):
        digest.update(chunk)
        size += len(chunk)
    return size, digest


def unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether two statuses are of the same file with the same content, as far as a status tells."""
    return _stamp(before) == _stamp(after)


def _stamp(status: os.stat_result) -> list[int]:
    # ctime too: it cannot be set back, as mtime can by a copy that keeps time stamps
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


class HashCache:
    """Hashes on disk by path, size, mtime, ctime and inode.

    Args:
        path: the cache file; None keeps nothing, and every file is read.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._loaded: dict[str, list[Any]] = {}  # path -> [*stamp, time of hashing in ns, SHA-256]
        self._used: dict[str, list[Any]] = {}
        if path is not None:
            with suppress(OSError, ValueError):
                loaded = json.loads(path.read_bytes())
                self._loaded = loaded if isinstance(loaded, dict) else {}

    def find(self, path: str, status: os.stat_result) -> str | None:
        """The file's SHA-256, if it has not changed since it was hashed."""
        known = self._loaded.get(path)
        if not isinstance(known, list) or len(known) != 6 or known[:4] != _stamp(status):
            return None
        changed_at = max(status.st_mtime_ns, status.st_ctime_ns)
        tick = COARSE_TICK_NS if changed_at % 1_000_000_000 == 0 else TICK_NS
        if known[4] - changed_at < tick:
            return None
        self._used[path] = known
        return str(known[5])

    def keep(self, path: str, status: os.stat_result, sha256: str) -> None:
        """Remember the hash of a file that did not change while it was read."""
        self._used[path] = [*_stamp(status), time.time_ns(), sha256]

    def add(self, files: Iterable[tuple[Entry, os.stat_result]]) -> None:
        """Remember files that this process alone wrote, and keep all other entries; saved at once."""
        self._used.update(self._loaded)
        for entry, status in files:
            # dated ahead: their last change is ours, and nothing can have changed them within its tick unseen
            self._used[entry.path] = [*_stamp(status), time.time_ns() + COARSE_TICK_NS, entry.sha256]
        self.save()

    def save(self) -> None:
        """Write the entries that were used. A cache that cannot be written is no error."""
        if self._path is not None and self._used != self._loaded:
            with suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_durably(self._path, json.dumps(self._used).encode(), wait=False)


class BackgroundHash:
    """Hashes a file while another thread writes it, from what the file system gives back, and flushes it to the disk.

    One pass thus proves that the bytes received and the bytes stored are right, and little is left to flush at the end.

    Args:
        handle: open for reading and writing; it must stay open until ``hexdigest`` or ``stop``.
        digest: of the bytes before ``offset``.
    """

    def __init__(self, handle: int, digest: hashlib._Hash, offset: int) -> None:
        self._descriptor = handle
        self._digest = digest
        self._offset = offset  # hashed up to here
        self._written = offset
        self._announced = offset
        self._stopped = False
        self._ends: SimpleQueue[int | None] = SimpleQueue()  # offsets to hash up to; None ends the thread
        self._error: OSError | None = None
        # a part, not a base: names of ours may be names of the next Python's Thread
        self._thread = threading.Thread(target=self._hash, daemon=True)
        self._thread.start()

    def update(self, piece: bytes | memoryview) -> None:
        """``piece`` was written."""
        self._written += len(piece)
        if self._written - self._announced >= BLOCK:
            self._announced = self._written
            self._ends.put(self._written)

    def hexdigest(self) -> str:
        """SHA-256 of the whole file; waits until all of it is hashed.

        Raises:
            OSError: the file cannot be read back or flushed.
        """
        self._ends.put(self._written)
        self._ends.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._digest.hexdigest()

    def stop(self) -> None:
        """Give up; returns when the handle is no longer used."""
        self._stopped = True
        self._ends.put(None)
        self._thread.join()

    def _hash(self) -> None:
        flushed = self._offset
        try:
            for end in iter(self._ends.get, None):
                while self._offset < end and not self._stopped:
                    block = os.pread(self._descriptor, min(BLOCK, end - self._offset), self._offset)
                    if not block:
                        raise OSError(errno.EIO, "it was cut short by another process")
                    self._digest.update(block)
                    self._offset += len(block)
                if self._offset - flushed >= FLUSH and not self._stopped:
                    os.fsync(self._descriptor)
                    flushed = self._offset
        except OSError as error:
            self._error = error
