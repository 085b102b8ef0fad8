"""A made-up measurement on development data, for tests of what becomes of one."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.contract.events import Measurement


def measurement(step: int = 20, total_steps: int = 20, epoch: float = 1.0, **changes: Any) -> Measurement:
    """A measurement without development sets, the best so far."""
    made = Measurement(
        step=step,
        total_steps=total_steps,
        epoch=epoch,
        top1=0.5,
        margin=0.1,
        loss=0.2,
        tiers={},
        attention_entropy=0.9,
        mean_pool_top1=0.4,
        score=0.5,
        mean_pool_score=0.4,
        score_name="top-1 on the development bundles",
        best_step=step,
    )
    return replace(made, **changes)
