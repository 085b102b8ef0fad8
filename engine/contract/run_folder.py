"""A run folder: its files' names, the states of a run, and the format of the manifest that seals it.

Standard library and Python 3.8 only: this module is also shipped to the host, inside the agent.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

SPEC = "spec.json"
STATE = "state.json"
EVENTS = "events.jsonl"
LOG = "log.txt"
CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_STATE = "checkpoint.json"
ITEMS = "items.parquet"
ATTENTION = "attention.parquet"
METRICS = "metrics.json"
EXIT = "exit.json"
MANIFEST = "manifest.json"
FILES = frozenset((SPEC, STATE, EVENTS, LOG, CHECKPOINT, CHECKPOINT_STATE, ITEMS, ATTENTION, METRICS, EXIT, MANIFEST))

StateName = Literal["queued", "running", "finished", "failed", "aborted", "lost"]
ACTIVE: frozenset[StateName] = frozenset(("queued", "running"))
SEALED: frozenset[StateName] = frozenset(("finished", "failed", "aborted"))
"""States of a run that has left a sealed folder, a capsule."""
ENDED: frozenset[StateName] = SEALED | {"lost"}
"""States of a run that nobody supervises any more; a lost one may turn out to live after all."""

MAX_NAME = 255  # bytes of one name, the limit of nearly every file system
MAX_PATH = 4000  # bytes
MAX_LEFT_OUT = 100  # named in a manifest
READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: opening a FIFO would block
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symlink", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}


class NotRegularFile(OSError):
    """A folder, a symlink, a FIFO or a device where a file is expected; ``strerror`` says which."""


class RunFolder:
    """Paths of the files of one run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.spec = root / SPEC
        self.state = root / STATE
        self.events = root / EVENTS
        self.checkpoint = root / CHECKPOINT
        self.checkpoint_state = root / CHECKPOINT_STATE
        self.items = root / ITEMS
        self.attention = root / ATTENTION
        self.metrics = root / METRICS
        self.manifest = root / MANIFEST


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Nothing else is opened, and a FIFO or a device does not block.

    Raises:
        FileNotFoundError: there is nothing.
        NotRegularFile: there is something else.
        OSError: it cannot be opened.
    """
    try:
        handle = os.open(path, READ_FLAGS)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symlink; a socket
            raise _not_regular(path, os.lstat(path).st_mode) from error
        raise
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise _not_regular(path, mode)


def _not_regular(path: Path, mode: int) -> NotRegularFile:
    kind = KINDS.get(stat.S_IFMT(mode), "a device")
    return NotRegularFile(errno.EINVAL, f"it is {kind}, not a file", str(path))


def build_manifest(folder: Path, key: str) -> dict[str, Any]:
    """The manifest of ``folder`` as of now: its ``key``, ``files``, their ``fingerprint`` and what was ``left_out``.

    It lists every regular file except itself and hidden ones, which are temporary files of writers that were killed. What
    no capsule can hold is named with the reason in ``left_out``: one odd file does not keep the others from being sealed.

    Raises:
        OSError: a file cannot be read now, but may be later.
    """
    files: list[tuple[str, int, str]] = []
    left_out: list[tuple[str, str]] = []
    for path in _files_below(folder, left_out):
        name = path.relative_to(folder).as_posix()
        try:
            if reason := unsafe_path_reason(name):
                left_out.append((name, reason))
            elif name != MANIFEST:
                with open_regular(path) as file:
                    files.append((name, *_hashed(file)))
        except FileNotFoundError:
            pass  # a process that is ending has removed it
        except (NotRegularFile, PermissionError) as error:
            left_out.append((name, str(error.strerror)))
    files.sort()
    entries = [{"path": path, "size": size, "sha256": sha256} for path, size, sha256 in files]
    omitted = [{"path": _printable(path), "reason": reason} for path, reason in sorted(left_out)[:MAX_LEFT_OUT]]
    return {"key": key, "files": entries, "fingerprint": capsule_fingerprint(files), "left_out": omitted}


def _files_below(folder: Path, left_out: list[tuple[str, str]]) -> Iterator[Path]:
    """Paths of files that are not hidden, at any depth; folders that cannot be entered are added to ``left_out``.

    A folder with the name of one of a run's files is yielded as if it was one: it is not what it should be.
    """
    folders = [folder]
    while folders:
        parent = folders.pop()
        try:
            entries = list(os.scandir(parent))
        except FileNotFoundError:
            continue
        except PermissionError as error:
            left_out.append((parent.relative_to(folder).as_posix(), str(error.strerror)))
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not (parent == folder and entry.name in FILES):
                folders.append(Path(entry.path))
            elif not entry.name.startswith("."):
                yield Path(entry.path)


def _printable(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()


def capsule_fingerprint(files: Iterable[tuple[str, int, str]]) -> str:
    """SHA-256 in hex over the lines ``sha256  size  path`` in path order, from (path, size, sha256) of each file."""
    import hashlib  # not at the top: loading OpenSSL delays the console's first paint

    digest = hashlib.sha256()
    for path, size, sha256 in sorted(files):
        digest.update(f"{sha256}  {size}  {path}\n".encode())
    return digest.hexdigest()


def size_and_sha256(path: Path) -> tuple[int, str]:
    """Bytes that were read from ``path`` and their SHA-256 in hex: the two agree even if the file grows meanwhile."""
    with open(path, "rb") as file:
        return _hashed(file)


def _hashed(file: BinaryIO) -> tuple[int, str]:
    import hashlib  # not at the top: loading OpenSSL delays the console's first paint

    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return file.tell(), digest.hexdigest()


def unsafe_path_reason(path: str) -> str:
    """Why ``path``, relative and with ``/`` between parts, must not be used as a file's path; empty if it may."""
    parts = path.split("/")
    if path.startswith("/"):
        return "its path is absolute"
    if "" in parts or "." in parts or ".." in parts:
        return "its path does not stay inside its folder"
    if not path.isprintable() or "\\" in path:
        return "its name holds control, invisible, undecodable or direction-changing characters, or a backslash"
    if any(part.startswith("-") for part in parts):
        return "its name begins with a dash"  # a program would take it for an option
    if len(path.encode()) > MAX_PATH or any(len(part.encode()) > MAX_NAME for part in parts):
        return "its name is too long"
    return ""
