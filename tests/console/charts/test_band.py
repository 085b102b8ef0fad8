"""The band is plain arithmetic per x, over the seeds that are there, and says how many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.charts.band import band_of
from console.charts.chart import Spread

seeds = st.lists(st.dictionaries(st.integers(0, 20), st.floats(-1e3, 1e3), max_size=12), min_size=1, max_size=5)


def arrays(points: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    xs = sorted(points)
    return np.array(xs, float), np.array([points[x] for x in xs], float)


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from(["sd", "range"]))
def test_the_band_is_the_plain_one_at_each_x(curves: list[dict[int, float]], spread: Spread) -> None:
    band = band_of([arrays(points) for points in curves], spread)
    present = [points for points in curves if points]
    for x in range(21):
        values = np.array([points[x] for points in present if x in points])
        place = np.flatnonzero(band.xs == x)
        if len(values) < min(2, len(present)) or not len(values):
            assert not len(place)
            continue
        at = place[0]
        assert band.counts[at] == len(values)
        assert band.means[at] == pytest.approx(np.mean(values))
        deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
        low, high = (
            (np.min(values), np.max(values))
            if spread == "range"
            else (
                np.mean(values) - deviation,
                np.mean(values) + deviation,
            )
        )
        assert (band.lows[at], band.highs[at]) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_seeds_at_other_x_are_interpolated_within_their_own_part_only() -> None:
    one = (np.array([0.0, 2.0, 4.0]), np.array([0.0, 2.0, 4.0]))
    two = (np.array([1.0, 3.0]), np.array([3.0, 5.0]))
    band = band_of([one, two], "range", interpolate=True)
    assert band.xs.tolist() == [1, 2, 3]
    assert band.means.tolist() == [2, 3, 4]
    assert band.counts.tolist() == [2, 2, 2]
    assert not len(band_of([one, two], "range").xs)


def test_one_seed_alone_has_a_line_and_says_that_it_is_one() -> None:
    band = band_of([(np.array([1.0, 2.0]), np.array([5.0, 6.0])), (np.empty(0), np.empty(0))], "sd")
    assert (band.means.tolist(), band.counts.tolist(), band.lows.tolist()) == ([5, 6], [1, 1], [5, 6])


def test_nothing_gives_nothing() -> None:
    assert not len(band_of([], "sd").xs)
