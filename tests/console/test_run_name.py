"""A run's name where room is short."""

from __future__ import annotations

import pytest

from console.format import run_name
from engine.contract.settings import RunId


@pytest.mark.parametrize(
    ("condition", "seed", "room", "name"),
    [
        ("A", 42, 24, "A / 42"),
        ("baseline", 42, 13, "baseline / 42"),
        ("baseline", 42, 12, "baseli… / 42"),
        ("baseline", 42, -5, "base… / 42"),
        ("baseline", 2_147_483_647, 10, "b… / 2147483647"),
    ],
)
def test_the_condition_is_cut_and_the_seed_stays(condition: str, seed: int, room: int, name: str) -> None:
    assert run_name(RunId(condition, seed), room) == name
