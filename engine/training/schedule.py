"""The learning rate over a run: a cosine from its peak down to a fraction of it."""

from __future__ import annotations

import math


def cosine(step: int, total_steps: int, peak: float, final_ratio: float) -> float:
    """Learning rate of ``step`` (0 is the first of ``total_steps``): ``peak`` at first, ``peak * final_ratio`` at last."""
    progress = min(1.0, step / max(1, total_steps - 1))
    return peak * (final_ratio + (1.0 - final_ratio) * 0.5 * (1.0 + math.cos(math.pi * progress)))
