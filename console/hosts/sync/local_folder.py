"""A folder of this machine as one end of a sync; every function here blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from console.hosts.agent.census import Census, HashCache, count
from console.hosts.agent.rooted import Rooted

# what the experiment leaves out, and what is made anew at each end
EXCLUDES = ("*.pt", "*.pth", "__pycache__", ".git", ".venv", "runs")


def census_of(folder: Path, excludes: Sequence[str], notes: Path, *, afresh: bool = False) -> Census:
    """What ``folder`` holds; one that is not there holds nothing.

    Args:
        notes: where hashes are kept from one time to the next.
        afresh: trust no hash from before.

    Raises:
        OSError: it is no folder, or cannot be read.
    """
    if not folder.exists():
        return Census([], [])
    with Rooted(folder) as root:
        cache = HashCache(None if afresh else hashes_in(notes))
        census = count(root, excludes, cache)
        cache.save()
        return census


def hashes_in(notes: Path) -> Path:
    """The file that keeps hashes."""
    return notes / "hashes.json"
