"""Numbers as text, run labels in a limited width, progress bars, and time left."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.format import age, bar, counted, duration, number, percent, run_label, seconds_left, size
from engine.contract.settings import RunId


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (41.4, "0:41"), (725, "12:05"), (3723, "1:02:03"), (-5, "0:00")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (0.4, "0.4 s"), (9.96, "10 s"), (12.2, "12 s"), (180, "3 min"), (7300, "2 h"), (-1, "0.0 s")],
)
def test_age(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (512, "512 B"), (1434, "1.4 KiB"), (1e6, "977 KiB"), (84 * 2**30, "84.0 GiB"), (2e12, "1.8 TiB")],
)
def test_size(count: float, text: str) -> None:
    assert size(count) == text


def test_a_missing_number_is_a_dash_and_infinity_is_named() -> None:
    assert percent(None) == percent(math.nan) == number(None) == "-"
    assert number(math.inf) == "inf"
    assert percent(0.4612) == "46.1"
    assert number(-0.1234) == "-0.123"
    assert number(1e-7) == "1.0e-07"
    assert counted(1, "run") == "1 run"
    assert counted(0, "run") == "0 runs"


@pytest.mark.parametrize("odd", [math.inf, math.nan, 1e300])
def test_a_senseless_number_from_a_host_is_a_dash(odd: float) -> None:
    assert duration(odd) == age(odd) == size(odd) == "-"
    assert duration(-odd) in ("0:00", "-") and age(-odd) in ("0.0 s", "-") and size(-odd) == "-"


@pytest.mark.parametrize(
    ("condition", "seed", "width", "label"),
    [
        ("A", 42, 24, "A/42"),
        ("baseline", 42, 11, "baseline/42"),
        ("baseline", 42, 10, "baseli…/42"),
        ("baseline", 42, -5, "baseli…/42"),
        ("baseline", 2_147_483_647, 10, "b…/2147483647"),
    ],
)
def test_the_condition_is_cut_and_the_seed_stays(condition: str, seed: int, width: int, label: str) -> None:
    assert run_label(RunId(condition, seed), width) == label


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "left"),
    [(25, 100, 5.0, 15.0), (0, 100, 5.0, None), (5, 100, 0.0, None), (9, 8, 1.0, 0.0)],
)
def test_time_left_follows_from_the_rate_so_far(done: float, total: float, elapsed: float, left: float | None) -> None:
    assert seconds_left(done, total, elapsed) == left


@given(st.floats(-1, 2), st.integers(1, 60))
def test_a_bar_has_the_given_width(fraction: float, width: int) -> None:
    drawn = bar(fraction, width)
    assert len(drawn) == width
    assert (fraction < 1) or drawn == "█" * width
