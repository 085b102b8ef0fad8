"""Numbers as words."""

from __future__ import annotations

import math

import pytest

from console.format import age, counted, duration, number, percent, size


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (41.4, "0:41"), (725, "12:05"), (3723, "1:02:03"), (-5, "0:00")]
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (0.4, "0.4 s"), (9.96, "10 s"), (12.2, "12 s"), (180, "3 min"), (7300, "2 h"), (-1, "0.0 s")],
)
def test_age(seconds: float, words: str) -> None:
    assert age(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (512, "512 B"), (1400, "1.4 kB"), (84e9, "84.0 GB"), (5e11, "500 GB"), (2e12, "2.0 TB")],
)
def test_size(count: float, words: str) -> None:
    assert size(count) == words


def test_what_is_no_number_is_a_dash_or_named() -> None:
    assert percent(None) == percent(math.nan) == number(None) == "-"
    assert number(math.inf) == "inf"
    assert percent(0.4612) == "46.1"
    assert number(-0.1234) == "-0.123"
    assert number(1e-7) == "1.0e-07"
    assert counted(1, "run") == "1 run"
    assert counted(0, "run") == "0 runs"


@pytest.mark.parametrize("odd", [math.inf, math.nan, 1e300])
def test_what_a_host_claims_beyond_all_measure_is_a_dash(odd: float) -> None:
    assert duration(odd) == age(odd) == size(odd) == "-"
    assert duration(-odd) in ("0:00", "-") and age(-odd) in ("0.0 s", "-") and size(-odd) == "-"
