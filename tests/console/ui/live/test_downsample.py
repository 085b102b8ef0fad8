"""Down-sampling keeps what the eye looks for, in bounded length, the same way every time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.ui.live.chart import finite, min_max

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
anything = st.floats(width=32)
widths = st.integers(1, 80)


@given(st.lists(numbers, max_size=700), widths)
def test_never_more_than_two_points_a_cell(ys: list[float], width: int) -> None:
    kept_xs, kept_ys = min_max(range(len(ys)), ys, width)
    assert len(kept_xs) == len(kept_ys) <= 2 * width


@given(st.lists(numbers, min_size=1, max_size=700), widths)
def test_the_extremes_stay(ys: list[float], width: int) -> None:
    _, kept = min_max(range(len(ys)), ys, width)
    assert min(kept) == min(ys)
    assert max(kept) == max(ys)


@given(st.lists(numbers, max_size=700), widths)
def test_points_are_points_of_the_curve_in_their_order(ys: list[float], width: int) -> None:
    xs, kept = min_max(range(len(ys)), ys, width)
    assert all(ys[int(x)] == y for x, y in zip(xs, kept, strict=True))
    assert xs == sorted(set(xs))


@given(st.lists(numbers, max_size=200), widths)
def test_the_same_curve_gives_the_same_points(ys: list[float], width: int) -> None:
    assert min_max(range(len(ys)), ys, width) == min_max(tuple(range(len(ys))), tuple(ys), width)


def test_a_growing_curve_does_not_jump() -> None:
    ys = [math.sin(index * 1.3) for index in range(3000)]
    before = min_max(range(2600), ys[:2600], 50)
    after = min_max(range(3000), ys, 50)
    last_whole_bucket = 2560
    assert [x for x in before[0] if x < last_whole_bucket] == [x for x in after[0] if x < last_whole_bucket]


@given(st.lists(st.tuples(anything, anything), max_size=50))
def test_only_finite_points_are_kept_and_broken_ones_marked(points: list[tuple[float, float]]) -> None:
    xs, ys, broken = finite([x for x, _ in points], [y for _, y in points])
    assert all(map(math.isfinite, [*xs, *ys, *broken]))
    assert len(xs) + len(broken) == sum(math.isfinite(x) for x, _ in points)
    assert len(ys) == sum(math.isfinite(x) and math.isfinite(y) for x, y in points)


def test_a_curve_without_width_or_with_halves_of_two_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="width"):
        min_max([1], [1], 0)
    with pytest.raises(ValueError, match="2 x for 1 y"):
        min_max([1, 2], [1], 5)
