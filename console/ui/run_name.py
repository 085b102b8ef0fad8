"""A run's name where room is short."""

from __future__ import annotations

from engine.contract.experiment import RunId

LEAST = 10


def run_name(run: RunId, room: int) -> str:
    """``A / 42`` in at most ``room`` cells, but never fewer than ``LEAST``; a long condition is cut, the seed stays."""
    seed = f" / {run.seed}"
    left = max(LEAST, room) - len(seed)
    condition = run.condition if len(run.condition) <= left else run.condition[: max(1, left - 1)] + "…"
    return condition + seed
