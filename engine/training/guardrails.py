"""Warnings about a training run: loss spikes, share of hard pairs ranked wrong, dilution of the adversarial tier."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.contract.events import Warning

SPIKE_WINDOW = 100
SPIKE_MIN_LOSSES = 20
EARLY_STEPS = (500, 1000)
DILUTION_LEVELS = ((50.0, "healthy"), (30.0, "warning"), (10.0, "critical"), (0.0, "severe"))


def loss_spike(loss: float, recent: Sequence[float], step: int) -> Warning | None:
    """A warning when ``loss`` exceeds mean + 3 standard deviations of the up to 100 losses before it."""
    window = recent[-SPIKE_WINDOW:]
    if len(window) < SPIKE_MIN_LOSSES:
        return None
    mean = math.fsum(window) / len(window)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in window) / len(window))
    if loss <= mean + 3 * deviation:
        return None
    return Warning("loss_spike", f"loss {loss:.3f}, mean of the last {len(window)} is {mean:.3f}", step, loss)


def early_warning(negative_gaps: int, hard_pairs: int, step: int) -> Warning | None:
    """At steps 500 and 1000: the share of hard pairs with a negative gap, and the contingency branch for it.

    A gap is the positive's similarity minus the hard negative's.
    """
    if step not in EARLY_STEPS or hard_pairs == 0:
        return None
    rate = negative_gaps / hard_pairs
    branch = "A: tune" if rate < 0.15 else "B: architecture" if rate < 0.40 else "C: data"
    return Warning("early_warning", f"{rate:.0%} of hard pairs have a negative gap, branch {branch}", step, rate)


def dilution(draws: int, weights: Sequence[float], adversarial: Sequence[bool]) -> Warning | None:
    """A warning when an adversarial (tier3) bundle is expected to be drawn fewer than 50 times in the whole run.

    exposures = draws x p(tier3) / pool, with draws = steps x batch; ``weights`` are the sampling weights,
    ``adversarial`` marks tier3.
    """
    pool = sum(adversarial)
    if pool == 0:
        return None
    share = math.fsum(w for w, hard in zip(weights, adversarial, strict=True) if hard) / math.fsum(weights)
    exposures = draws * share / pool
    level = next(name for least, name in DILUTION_LEVELS if exposures >= least)
    if level == "healthy":
        return None
    return Warning("dilution", f"{level}: {exposures:.1f} expected exposures per tier3 bundle", 0, exposures)
