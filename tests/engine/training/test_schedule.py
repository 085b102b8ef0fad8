"""The learning rate over a run."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.training.adamw import cosine


@given(total=st.integers(2, 500), ratio=st.floats(0.0, 1.0))
def test_it_falls_from_the_peak_to_a_fraction_of_it(total: int, ratio: float) -> None:
    rates = [cosine(step, total, 2.0, ratio) for step in range(total)]
    assert rates[0] == pytest.approx(2.0)
    assert rates[-1] == pytest.approx(2.0 * ratio)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(rates))


def test_a_single_step_takes_the_peak_and_halfway_is_the_middle() -> None:
    assert cosine(0, 1, 3.0, 0.1) == pytest.approx(3.0)
    assert cosine(50, 101, 1.0, 0.1) == pytest.approx(0.55)
