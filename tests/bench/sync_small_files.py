"""A first sync of 2,000 files of 1 to 8 KiB."""

from __future__ import annotations

import random
from pathlib import Path

from tests.bench.row import Row
from tests.bench.sync_sides import compared

PAIRS = 9
FILES = 2000


def fill(folder: Path) -> None:
    """The same files each time, in forty folders."""
    draw = random.Random(0)
    for number in range(FILES):
        path = folder / f"part{number % 40}" / f"{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(draw.randbytes(draw.randint(1024, 8192)))


def measure() -> Row:
    return compared("first sync of 2,000 small files", fill, PAIRS, first=True)
