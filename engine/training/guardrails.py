"""Warnings about a training run: loss spikes, share of hard pairs ranked wrong, dilution of the adversarial tier."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.contract.events import Warning

SPIKE_WINDOW = 100
SPIKE_MIN_LOSSES = 20
EARLY_STEPS = (500, 1000)
# of a long run: with a budget of few epochs no weight of tier3 reaches the first
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


def early_steps(total_steps: int) -> tuple[int, ...]:
    """The steps at which a run of ``total_steps`` gets an early warning: 500 and 1000.

    A run shorter than 1,000 steps also gets one at a third and at two thirds of its steps.
    """
    thirds = (total_steps // 3, 2 * total_steps // 3) if total_steps < EARLY_STEPS[-1] else ()
    return tuple(sorted({step for step in (*EARLY_STEPS, *thirds) if 0 < step <= total_steps}))


def early_warning(negative_gaps: int, hard_pairs: int, step: int, total_steps: int) -> Warning | None:
    """At the ``early_steps``: the share of hard pairs with a negative gap, and what to work on then.

    A gap is the positive's similarity minus the hard negative's.
    """
    if hard_pairs == 0 or step not in early_steps(total_steps):
        return None
    rate = negative_gaps / hard_pairs
    what_helps = "tuning" if rate < 0.15 else "the architecture" if rate < 0.40 else "the data"
    return Warning("early_warning", f"{rate:.0%} of hard pairs have a negative gap: work on {what_helps}", step, rate)


def dilution(exposures: float, most: float) -> Warning | None:
    """A warning when a tier3 bundle is expected to be drawn fewer than 50 times in the whole run.

    Args:
        exposures: expected draws of each tier3 bundle.
        most: what they would be if nothing else were drawn.
    """
    level = next(name for least, name in DILUTION_LEVELS if exposures >= least)
    if level == "healthy":
        return None
    message = (
        f"{level}: each tier3 bundle is expected to be drawn {exposures:.1f} times in this run "
        f"({most:.1f} times if nothing else were drawn)"
    )
    return Warning("dilution", message, 0, exposures)
