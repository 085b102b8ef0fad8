"""Series never change once made, and what is drawn of them is bounded, keeps the extremes and does not jump."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.runs.series import MAX_BUCKETS, Series, SeriesReduction

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
anything = st.floats(width=32)
widths = st.integers(1, 80)


def extended(series: Series, ys: Sequence[float]) -> Series:
    return series.extended(array("d", range(len(series), len(series) + len(ys))), array("d", ys))


def reduced(ys: Sequence[float], *, smoothing: float = 0.0, log_scale: bool = False) -> SeriesReduction:
    reduction = SeriesReduction(smoothing=smoothing, log_scale=log_scale)
    reduction.update(Series(range(len(ys)), ys))
    return reduction


def drawn(ys: Sequence[float], width: int) -> tuple[list[float], list[float]]:
    return reduced(ys).points(width)


@given(st.lists(st.tuples(st.integers(0, 30), st.lists(anything, max_size=5)), max_size=30))
def test_no_version_of_a_series_changes_whichever_is_extended(extensions: list[tuple[int, list[float]]]) -> None:
    versions = [(Series(), array("d"))]
    for chosen, ys in extensions:
        series, expected = versions[chosen % len(versions)]
        versions.append((extended(series, ys), expected + array("d", ys)))
    for series, expected in versions:
        assert series.points()[1].tobytes() == expected.tobytes()
        assert list(series.points()[0]) == list(range(len(expected)))


def test_threads_may_extend_one_version_at_the_same_time() -> None:
    for _ in range(50):
        series, start = extended(Series(), [0.0]), Barrier(4)

        def extend(number: int, series: Series = series, start: Barrier = start) -> Series:
            start.wait()
            return extended(series, [float(number)] * 100)

        with ThreadPoolExecutor(4) as pool:
            longer = list(pool.map(extend, range(4)))
        assert [set(one.points(1)[1]) for one in longer] == [{0.0}, {1.0}, {2.0}, {3.0}]


def test_series_are_equal_by_their_points_and_nan_equals_itself() -> None:
    series = extended(Series(), [1.0, math.nan])
    longer = extended(series, [2.0])
    assert series == Series([0, 1], [1.0, math.nan]) != longer
    assert longer == extended(series, [2.0]) and longer != extended(series, [3.0])
    assert (longer.last_y, series != [1.0, math.nan]) == (2.0, True)


def test_extending_the_newest_version_shares_its_storage_and_another_branch_does_not() -> None:
    series = extended(Series(), [1.0])
    assert extended(series, [2.0]).storage is series.storage
    assert extended(series, [3.0]).storage is not series.storage
    assert extended(Series(), [1.0]).storage is not extended(Series(), [1.0]).storage


def test_columns_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 x for 1 y"):
        Series([1, 2], [1])


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
    assert reduction.points(width) == whole.points(width)
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
    xs, kept = reduction.points(10 * MAX_BUCKETS)
    assert len(xs) <= 2 * MAX_BUCKETS
    assert (kept[xs.index(31_234)], kept[xs.index(47)]) == (9.0, -9.0)
    assert 0 < len(reduction.marks(100)) <= 100 and reduction.marks(100)[0] == 50_000


@given(st.lists(anything, max_size=50))
def test_only_finite_values_are_kept_and_the_others_marked(ys: list[float]) -> None:
    reduction = reduced(ys)
    xs, kept = reduction.points(50)
    assert all(map(math.isfinite, kept))
    assert sorted(xs + reduction.marks(50)) == list(range(len(ys)))


def test_a_point_whose_x_cannot_be_placed_is_dropped() -> None:
    reduction = SeriesReduction()
    reduction.update(Series([math.nan, math.inf, 3.0], [1.0, math.nan, 2.0]))
    assert (reduction.points(50), reduction.marks(50)) == (([3.0], [2.0]), [])


def test_a_logarithm_marks_what_is_not_positive() -> None:
    reduction = reduced([100.0, 0.0, -1.0, 10.0], log_scale=True)
    assert (reduction.points(50), reduction.marks(50)) == (([0, 3], [2, 1]), [1, 2])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=100), st.floats(0.001, 0.99))
def test_smoothing_stays_within_the_values_and_begins_with_the_first(values: list[float], weight: float) -> None:
    smoothed = reduced(values, smoothing=weight).points(100)[1]
    assert len(smoothed) == len(values) and math.isclose(smoothed[0], values[0], rel_tol=1e-9, abs_tol=1e-9)
    slack = 1e-6 * max(1.0, *(abs(value) for value in values))
    assert all(min(values) - slack <= value <= max(values) + slack for value in smoothed)


def test_smoothing_is_the_bias_corrected_moving_average() -> None:
    values, weight = [3.0, 1.0, 2.0, 7.0], 0.9
    expected = []
    for end in range(1, len(values) + 1):
        weights = [(1 - weight) * weight ** (end - 1 - index) for index in range(end)]
        expected.append(sum(w * y for w, y in zip(weights, values, strict=False)) / sum(weights))
    assert reduced(values, smoothing=weight).points(10)[1] == pytest.approx(expected)


def test_no_smoothing_is_the_curve_itself() -> None:
    assert drawn([3.0, 1.0, 2.0], 10)[1] == [3.0, 1.0, 2.0]


def test_a_curve_without_width_is_refused() -> None:
    with pytest.raises(ValueError, match="width"):
        drawn([1], 0)
