"""What is drawn of a series is bounded, keeps its extremes, does not jump and does not depend on how it arrived."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.charts.reduction import MAX_BUCKETS, SeriesReduction
from console.runs.series import Series

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
anything = st.floats(width=32)
widths = st.integers(1, 80)


def extended(series: Series, ys: Sequence[float]) -> Series:
    return series.extended(array("d", range(len(series), len(series) + len(ys))), array("d", ys))


def reduced(ys: Sequence[float], *, smoothing: float = 0.0, log_scale: bool = False) -> SeriesReduction:
    reduction = SeriesReduction(smoothing=smoothing, log_scale=log_scale)
    reduction.update(Series(range(len(ys)), ys))
    return reduction


def points(reduction: SeriesReduction, width: int) -> tuple[list[float], list[float]]:
    xs, ys = reduction.points(width)
    return xs.tolist(), ys.tolist()


def drawn(ys: Sequence[float], width: int) -> tuple[list[float], list[float]]:
    return points(reduced(ys), width)


@given(st.lists(numbers, max_size=700), widths)
def test_never_more_than_two_points_a_cell(ys: list[float], width: int) -> None:
    kept_xs, kept_ys = drawn(ys, width)
    assert len(kept_xs) == len(kept_ys) <= 2 * width


@given(st.lists(numbers, min_size=1, max_size=700), widths)
def test_the_extremes_stay(ys: list[float], width: int) -> None:
    _, kept = drawn(ys, width)
    assert min(kept) == min(ys)
    assert max(kept) == max(ys)


@given(st.lists(numbers, max_size=700), widths)
def test_points_are_points_of_the_curve_in_their_order(ys: list[float], width: int) -> None:
    xs, kept = drawn(ys, width)
    assert all(ys[int(x)] == y for x, y in zip(xs, kept, strict=True))
    assert xs == sorted(set(xs))


@given(
    st.lists(anything, max_size=200), st.lists(st.integers(0, 200), max_size=5), st.booleans(), st.booleans(), widths
)
def test_updating_in_parts_is_updating_once(
    ys: list[float], cuts: list[int], smoothed: bool, log_scale: bool, width: int
) -> None:
    smoothing = 0.95 if smoothed else 0.0
    reduction, series = SeriesReduction(smoothing=smoothing, log_scale=log_scale), Series()
    for cut in [*sorted(cuts), len(ys)]:
        series = extended(series, ys[len(series) : cut])
        reduction.update(series)
    whole = reduced(ys, smoothing=smoothing, log_scale=log_scale)
    assert points(reduction, width) == points(whole, width)
    assert reduction.marks(width) == whole.marks(width)


@pytest.mark.parametrize(("length", "more", "bucket"), [(2600, 400, 64), (20_000, 900, 512)])
def test_a_growing_curve_does_not_jump(length: int, more: int, bucket: int) -> None:
    ys = [math.sin(index * 1.3) for index in range(length + more)]
    before, after = drawn(ys[:length], 50), drawn(ys, 50)
    whole = length - length % bucket
    assert [x for x in before[0] if x < whole] == [x for x in after[0] if x < whole]


def test_a_long_series_is_reduced_to_a_bounded_number_of_buckets_that_keep_its_extremes() -> None:
    ys = [math.sin(index * 1.3) for index in range(50_000)]
    ys[31_234], ys[47] = 9.0, -9.0
    reduction = reduced([*ys, *[math.nan] * 5_000])
    xs, kept = points(reduction, 10 * MAX_BUCKETS)
    assert len(xs) <= 2 * MAX_BUCKETS
    assert (kept[xs.index(31_234)], kept[xs.index(47)]) == (9.0, -9.0)
    assert 0 < len(reduction.marks(100)) <= 100 and reduction.marks(100)[0] == 50_000


@given(st.lists(anything, max_size=50))
def test_only_finite_values_are_kept_and_the_others_marked(ys: list[float]) -> None:
    reduction = reduced(ys)
    xs, kept = points(reduction, 50)
    assert all(map(math.isfinite, kept))
    assert sorted(xs + reduction.marks(50)) == list(range(len(ys)))


def test_a_point_whose_x_cannot_be_placed_is_dropped() -> None:
    reduction = SeriesReduction()
    reduction.update(Series([math.nan, math.inf, 3.0], [1.0, math.nan, 2.0]))
    assert (points(reduction, 50), reduction.marks(50)) == (([3.0], [2.0]), [])


def test_a_logarithm_marks_what_is_not_positive() -> None:
    reduction = reduced([100.0, 0.0, -1.0, 10.0], log_scale=True)
    assert (points(reduction, 50), reduction.marks(50)) == (([0, 3], [2, 1]), [1, 2])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=100), st.floats(0.001, 0.99))
def test_smoothing_stays_within_the_values_and_begins_with_the_first(values: list[float], weight: float) -> None:
    smoothed = points(reduced(values, smoothing=weight), 100)[1]
    assert len(smoothed) == len(values) and math.isclose(smoothed[0], values[0], rel_tol=1e-9, abs_tol=1e-9)
    slack = 1e-6 * max(1.0, *(abs(value) for value in values))
    assert all(min(values) - slack <= value <= max(values) + slack for value in smoothed)


def test_smoothing_is_the_bias_corrected_moving_average() -> None:
    values, weight = [3.0, 1.0, 2.0, 7.0], 0.9
    expected = []
    for end in range(1, len(values) + 1):
        weights = [(1 - weight) * weight ** (end - 1 - index) for index in range(end)]
        expected.append(sum(w * y for w, y in zip(weights, values, strict=False)) / sum(weights))
    assert points(reduced(values, smoothing=weight), 10)[1] == pytest.approx(expected)


def test_no_smoothing_is_the_curve_itself() -> None:
    assert drawn([3.0, 1.0, 2.0], 10)[1] == [3.0, 1.0, 2.0]


def test_a_curve_without_width_is_refused() -> None:
    with pytest.raises(ValueError, match="width"):
        drawn([1], 0)
