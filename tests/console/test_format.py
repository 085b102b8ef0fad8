"""Run labels in a limited width, and time left."""

from __future__ import annotations

import pytest

from console.format import run_label, seconds_left
from engine.contract.settings import RunId


@pytest.mark.parametrize(
    ("condition", "seed", "width", "label"),
    [
        ("A", 42, 24, "A/42"),
        ("baseline", 42, 11, "baseline/42"),
        ("baseline", 42, 10, "baseli…/42"),
        ("baseline", 42, -5, "baseli…/42"),
        ("baseline", 2_147_483_647, 10, "b…/2147483647"),
    ],
)
def test_the_condition_is_cut_and_the_seed_stays(condition: str, seed: int, width: int, label: str) -> None:
    assert run_label(RunId(condition, seed), width) == label


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "left"),
    [(25, 100, 5.0, 15.0), (0, 100, 5.0, None), (5, 100, 0.0, None), (9, 8, 1.0, 0.0)],
)
def test_time_left_follows_from_the_rate_so_far(done: float, total: float, elapsed: float, left: float | None) -> None:
    assert seconds_left(done, total, elapsed) == left
