"""A run folder: its files' names, the states of a run, and the format of the manifest that seals it.

Standard library and Python 3.8 only: this module is also shipped to the host, inside the agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

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

StateName = Literal["queued", "running", "finished", "failed", "aborted", "lost"]
ACTIVE: frozenset[StateName] = frozenset(("queued", "running"))
SEALED: frozenset[StateName] = frozenset(("finished", "failed", "aborted"))
"""States of a run that has left a sealed folder, a capsule."""
ENDED: frozenset[StateName] = SEALED | {"lost"}
"""States of a run that nobody supervises any more; a lost one may turn out to live after all."""

MAX_NAME = 255  # bytes of one name, the limit of nearly every file system
MAX_PATH = 4000  # bytes


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


def build_manifest(folder: Path, key: str) -> dict[str, Any]:
    """The manifest of ``folder`` as of now: ``{"key", "files": [{"path", "size", "sha256"}, ...], "fingerprint"}``.

    It lists every regular file except itself and hidden ones, which are temporary files of writers that were killed.
    """
    files = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.is_symlink() and name != MANIFEST and not path.name.startswith("."):
            files.append((name, *size_and_sha256(path)))
    files.sort()
    entries = [{"path": path, "size": size, "sha256": sha256} for path, size, sha256 in files]
    return {"key": key, "files": entries, "fingerprint": capsule_fingerprint(files)}


def capsule_fingerprint(files: Iterable[tuple[str, int, str]]) -> str:
    """SHA-256 in hex over the lines ``sha256  size  path`` in path order, from (path, size, sha256) of each file."""
    import hashlib  # not at the top: loading OpenSSL delays the console's first paint

    digest = hashlib.sha256()
    for path, size, sha256 in sorted(files):
        digest.update(f"{sha256}  {size}  {path}\n".encode())
    return digest.hexdigest()


def size_and_sha256(path: Path) -> tuple[int, str]:
    """Bytes that were read from ``path`` and their SHA-256 in hex: the two agree even if the file grows meanwhile."""
    import hashlib  # not at the top: loading OpenSSL delays the console's first paint

    digest = hashlib.sha256()
    with open(path, "rb") as file:
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
