"""Ticks are round and few, a logarithmic axis has powers of ten, automatic limits hold the values and move seldom."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.charts.limits import (
    end_of_axis,
    log_ticks,
    nice_ticks,
    number_label,
    number_ticks,
    outward,
    spread_apart,
    time_ticks,
)

values = st.floats(-1e6, 1e6)


@given(values, st.floats(1e-3, 1e6), st.integers(1, 12))
def test_ticks_are_round_few_and_inside(low: float, span: float, wanted: int) -> None:
    ticks = nice_ticks(low, low + span, wanted)
    assert 1 <= len(ticks) <= 2 * wanted + 2
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    assert ticks == sorted(ticks)


def test_ticks_of_steps_are_whole() -> None:
    assert nice_ticks(0, 3, 10, whole=True) == [0, 1, 2, 3]


def test_a_logarithmic_axis_has_a_tick_at_each_power_of_ten() -> None:
    assert log_ticks((-4.2, 1.3), 10) == [(-4, "1e-4"), (-3, "0.001"), (-2, "0.01"), (-1, "0.1"), (0, "1"), (1, "10")]
    assert [at for at, _ in log_ticks((-30, 30), 4)] == [-30, -14, 2, 18]


def test_less_than_a_power_of_ten_has_round_numbers() -> None:
    assert [label for _, label in log_ticks((math.log10(1.5), math.log10(6)), 4)] == ["2", "5"]
    assert [label for _, label in log_ticks((math.log10(2.1), math.log10(2.45)), 3)] == ["2.2", "2.4"]


def test_times_have_round_ticks() -> None:
    assert [label for _, label in time_ticks((0, 400), 4)] == ["0:00", "2:00", "4:00", "6:00"]
    assert [label for _, label in time_ticks((0, 7300), 3)] == ["0:00", "1:00:00", "2:00:00"]


@pytest.mark.parametrize(
    ("value", "label"), [(0, "0"), (0.5, "0.5"), (2000, "2000"), (3e-4, "3e-4"), (1.5e-4, "1.5e-4"), (2e6, "2e6")]
)
def test_labels_are_short(value: float, label: str) -> None:
    assert number_label(value) == label


@settings(max_examples=50)
@given(values, values)
def test_automatic_limits_hold_the_values_and_are_their_own_limits(one: float, two: float) -> None:
    low, high = spread_apart(min(one, two), max(one, two))
    wide = outward(low, high)
    slack = 1e-6 * (high - low) + 1e-9
    assert wide[0] <= low + slack and wide[1] >= high - slack
    assert wide[1] - wide[0] <= 2 * (high - low) + slack


def test_automatic_limits_stand_still_while_values_come() -> None:
    limits = {outward(0.43, high / 1000) for high in range(700, 2400)}
    assert len(limits) <= 12


@given(st.floats(1, 1e6))
def test_an_axis_ends_at_the_next_round_number_and_never_behind_the_total(last: float) -> None:
    assert last <= end_of_axis(last, None) <= 1.5 * last
    assert end_of_axis(last, last * 1.01) <= last * 1.01


def test_an_axis_grows_in_few_steps() -> None:
    assert len({end_of_axis(step, 622) for step in range(1, 623)}) <= 31
    assert end_of_axis(622, 622) == 622
    assert end_of_axis(0, None) == 1


def test_ticks_have_labels() -> None:
    assert number_ticks((0, 1), 2) == [(0, "0"), (0.5, "0.5"), (1, "1")]
