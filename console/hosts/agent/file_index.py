"""What a folder holds: path, size and SHA-256 of every file; hashes known from before are not computed again."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from console.hosts.agent.safe_dir import MAX_OPEN, InTheWay, SafeDir
from console.hosts.agent.safe_names import RESERVED, excluded, why_unsafe
from engine.contract.run_folder import capsule_fingerprint

READ_SIZE = 1 << 20
TICK_NS = 100_000_000  # a change this soon after hashing may leave the time stamps as they were
COARSE_NS = 2_000_000_000  # the same where the file system keeps whole seconds


class Entry(NamedTuple):
    """One file: path below the root with ``/``, size in bytes, SHA-256 in hex, whether it may be executed."""

    path: str
    size: int
    sha256: str
    executable: bool


class FileIndex(NamedTuple):
    """The files, in path order, and [path, why] of what cannot be synced."""

    files: list[Entry]
    refused: list[tuple[str, str]]


def fingerprint(files: Iterable[Entry]) -> str:
    """SHA-256 over ``sha256  size  path`` lines in path order, as of a capsule's manifest."""
    return capsule_fingerprint(entry[:3] for entry in files)


def count(root: SafeDir, excludes: Sequence[str], cache: HashCache) -> FileIndex:
    """Walk ``root``. Symlinks are not followed: they, and all else that is no plain file, are refused by name."""
    files: list[Entry] = []
    refused: list[tuple[str, str]] = []
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        parts = waiting.pop()
        root.forget(above=MAX_OPEN)
        try:
            folder = root.folder(parts)
            with os.scandir(folder) as listing:
                found = list(listing)
        except (OSError, InTheWay) as error:
            refused.append(("/".join(parts), f"it cannot be read: {error}"))
            continue
        for item in found:
            path = "/".join((*parts, item.name))
            if item.name == RESERVED or excluded(path, excludes):
                continue
            why = why_unsafe(path)
            if why:
                refused.append((path, why))
            elif item.is_dir(follow_symlinks=False):
                waiting.append((*parts, item.name))
            else:
                try:
                    files.append(_entry(folder, item, path, cache))
                except (OSError, InTheWay) as error:
                    refused.append((path, str(error)))
    root.forget()
    return FileIndex(sorted(files), sorted(refused))


def _entry(folder: int, item: os.DirEntry[str], path: str, cache: HashCache) -> Entry:
    status = os.stat(item.name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise InTheWay("it is a symlink" if stat.S_ISLNK(status.st_mode) else "it is no regular file")
    known = cache.find(path, status)
    if known is None:
        known, status = _hash(folder, item.name)
        cache.keep(path, status, known)
    return Entry(path, status.st_size, known, bool(status.st_mode & 0o100))


def _hash(folder: int, name: str) -> tuple[str, os.stat_result]:
    """SHA-256 and status of a file that stood still meanwhile; one that moved is given a second chance."""
    for _ in range(2):
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            before = os.fstat(handle)
            _, digest = hash_of(handle, before.st_size)
            if same(before, os.fstat(handle)) and stat.S_ISREG(before.st_mode):
                return digest.hexdigest(), before
        finally:
            os.close(handle)
    raise InTheWay("it changes while it is read")


def hash_of(handle: int, limit: int) -> tuple[int, hashlib._Hash]:
    """Size and running hash of the first ``limit`` bytes."""
    digest, size = hashlib.sha256(), 0
    while size < limit and (chunk := os.read(handle, min(READ_SIZE, limit - size))):
        digest.update(chunk)
        size += len(chunk)
    return size, digest


def same(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether a file is as it was, by all that a status tells."""
    return _stamp(one) == _stamp(other)


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


class HashCache:
    """Hashes on disk by path, size, times and inode. What changed within a clock tick of its hashing is not trusted.

    Args:
        path: the file that keeps them; None keeps none, and every file is read.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, list[Any]] = {}
        self._seen: dict[str, list[Any]] = {}
        if path is not None:
            with suppress(OSError, ValueError):
                known = json.loads(path.read_bytes())
                self._known = known if isinstance(known, dict) else {}

    def find(self, path: str, status: os.stat_result) -> str | None:
        """The file's SHA-256, if it is the very file that was hashed."""
        known = self._known.get(path)
        if not isinstance(known, list) or len(known) != 6 or known[:4] != _stamp(status):
            return None
        last = max(status.st_mtime_ns, status.st_ctime_ns)
        if known[4] - last < (COARSE_NS if last % 1_000_000_000 == 0 else TICK_NS):
            return None
        self._seen[path] = known
        return str(known[5])

    def keep(self, path: str, status: os.stat_result, sha256: str) -> None:
        """Remember the hash of a file that stood still while it was read."""
        self._seen[path] = [*_stamp(status), time.time_ns(), sha256]

    def add(self, settled: Iterable[tuple[Entry, os.stat_result]]) -> None:
        """Remember files that have not changed since well before their last time stamp, and keep all others."""
        self._seen.update(self._known)
        for entry, status in settled:
            self._seen[entry.path] = [*_stamp(status), time.time_ns() + COARSE_NS, entry.sha256]
        self.save()

    def save(self) -> None:
        """Keep what was seen for the next time; a cache that cannot be written is done without."""
        if self._path is None or self._seen == self._known:
            return
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(self._seen))
            temporary.replace(self._path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
