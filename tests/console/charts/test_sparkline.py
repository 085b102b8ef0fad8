"""A sparkline is as wide as it may be, spans its values, and is ASCII where asked for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.charts.sparkline import sparkline
from console.glyphs import GlyphName


@given(st.lists(st.floats(), max_size=60), st.integers(-1, 20), st.sampled_from(["braille", "blocks", "ascii"]))
def test_any_values_fit(values: list[float], width: int, glyphs: GlyphName) -> None:
    text = sparkline(values, width, glyphs)
    assert len(text) <= max(0, width)
    assert bool(text) == (width > 0 and bool(values))
    assert glyphs != "ascii" or text.isascii()


def test_a_rise_rises() -> None:
    assert sparkline(range(8), 8, "blocks") == "▁▂▃▄▅▆▇█"
    assert sparkline(range(800), 8, "blocks") == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 1, 2, 3], 2, "braille") == "⡠⠊"


@pytest.mark.parametrize(("glyphs", "expected"), [("blocks", "▁!█"), ("ascii", "_!#"), ("braille", "⡀⠁")])
def test_what_is_not_finite_is_marked(glyphs: GlyphName, expected: str) -> None:
    assert sparkline([1, math.nan, 2], 3, glyphs) == expected


def test_equal_values_are_a_line_in_the_middle() -> None:
    assert sparkline([3, 3, 3, 3], 2, "braille") == "⠤⠤"
