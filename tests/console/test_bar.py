"""A share as a bar."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from console.format import bar


@given(st.floats(-1, 2), st.integers(1, 60))
def test_a_bar_is_as_wide_as_its_place(fraction: float, width: int) -> None:
    drawn = bar(fraction, width)
    assert len(drawn) == width
    assert (fraction < 1) or drawn == "█" * width
