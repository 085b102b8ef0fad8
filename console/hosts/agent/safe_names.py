"""Which names may cross the link, whoever sends them, and which files a sync passes over."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from engine.contract.run_folder import unsafe_path_reason

RESERVED = ".qllm-sync"  # a sync's own folder at the root of what it writes to


def why_unsafe(path: str) -> str:
    """Why ``path``, relative and with ``/`` between parts, must not be used; empty if it may."""
    if RESERVED in path.casefold().split("/"):
        return f"{RESERVED} is kept for syncs"
    return unsafe_path_reason(path)


def clashes(paths: Iterable[str]) -> set[str]:
    """Paths of which two, or folders on their way, differ only in case or in how accents are written."""
    spelled: dict[str, str] = {}
    clashing: set[str] = set()
    known = list(paths)
    for path in known:
        for prefix in _prefixes(path):
            if spelled.setdefault(_folded(prefix), prefix) != prefix:
                clashing.add(_folded(prefix))
    if not clashing:
        return set()
    return {path for path in known if any(_folded(prefix) in clashing for prefix in _prefixes(path))}


def excluded(path: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern matches: one without ``/`` the last name of ``path``, one with it the whole path."""
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)


def _prefixes(path: str) -> list[str]:
    ends = [at for at, character in enumerate(path) if character == "/"]
    return [path[:end] for end in ends] + [path]


def _folded(path: str) -> str:
    return path if path.isascii() and path.islower() else unicodedata.normalize("NFC", path.casefold())
