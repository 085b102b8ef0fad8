"""Tables and series never change once made, whichever version is extended."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.runs.series import Columns, Series

anything = st.floats(width=32)


def extended(series: Series, ys: Sequence[float]) -> Series:
    return series.extended(array("d", range(len(series), len(series) + len(ys))), array("d", ys))


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
    assert extended(series, [2.0]).columns.storage is series.columns.storage
    assert extended(series, [3.0]).columns.storage is not series.columns.storage
    assert extended(Series(), [1.0]).columns.storage is not extended(Series(), [1.0]).columns.storage


def test_the_first_rows_of_a_table_are_extended_apart_from_it() -> None:
    table = Columns(array("d", [1, 2, 3]), array("f", [4, 5, 6]))
    assert table.first(3) is table.first(9) is table and table.first(2) == Columns(
        array("d", [1, 2]), array("f", [4, 5])
    )
    for rows in range(3):
        other = table.first(rows).extended(array("d", [7]), array("f", [8]))
        assert [list(column) for column in other.rows()] == [[*[1, 2, 3][:rows], 7], [*[4, 5, 6][:rows], 8]]
    assert [list(column) for column in table.rows()] == [[1, 2, 3], [4, 5, 6]]


def test_columns_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 x for 1 y"):
        Series([1, 2], [1])


def test_series_of_one_table_share_its_x_and_scale_it() -> None:
    table = Columns(array("d", [1, 2]), array("f", [0.5, 0.25]), array("d", [7, 8]))
    one, two = Series.of(table, 0, 1), Series.of(table, 0, 2, x_scale=0.5)
    assert [list(axis) for axis in one.points()] == [[1, 2], [0.5, 0.25]]
    assert [list(axis) for axis in two.points(1)] == [[1.0], [8]]
    assert (one.last_y, two.last_y, table.last(2), one == two) == (0.25, 8, 8, False)


def test_a_table_of_uneven_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="2, 1"):
        Columns(array("d", [1, 2]), array("d", [1]))
