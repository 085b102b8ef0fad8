"""A first sync of one file of 256 MiB that cannot be compressed."""

from __future__ import annotations

import random
from pathlib import Path

from tests.bench.row import Row
from tests.bench.sync_sides import compared

PAIRS = 7
MIB = 256


def fill(folder: Path) -> None:
    draw = random.Random(0)
    with open(folder / "big.bin", "wb") as file:
        for _ in range(MIB):
            file.write(draw.randbytes(1 << 20))


def measure() -> Row:
    return compared("first sync of 256 MiB", fill, PAIRS, first=True)
