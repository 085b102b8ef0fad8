"""Logs to measure with: lines as the engine writes them, and others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MILLION = 1_000_000
STAMP = "2026-11-27T11:18:34Z"


def log_lines(first: int, count: int) -> Iterator[str]:
    """Each tenth line names a step, each hundred-thousandth is a warning; about 70 bytes each."""
    for at in range(first, first + count):
        if at % 100_000 == 99_999:
            yield f"{STAMP} WARNING early_warning: {at % 97}% of hard pairs have a negative gap\n"
        elif at % 10 == 0:
            yield f"{STAMP} INFO   step {at}/{MILLION} loss {at % 7}.{at % 1000:03d} lr 2.93e-04 tier1_easy 87\n"
        else:
            yield f"{STAMP} INFO line {at:08d} of a log that goes on and on\n"


def write_log(path: Path, count: int) -> None:
    """A log of ``count`` lines at ``path``."""
    with path.open("w", encoding="ascii") as file:
        for first in range(0, count, 10_000):
            file.write("".join(log_lines(first, min(10_000, count - first))))
