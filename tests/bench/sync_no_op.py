"""A sync of 2,000 files of which none has changed."""

from __future__ import annotations

from tests.bench.row import Row
from tests.bench.sync_sides import compared
from tests.bench.sync_small_files import fill

PAIRS = 15


def measure() -> Row:
    return compared("sync of 2,000 files, nothing changed", fill, PAIRS, first=False)
