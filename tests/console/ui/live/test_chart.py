"""Charts draw whatever a run can say, within their room, fast, and the same way every time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.ui.live.chart import ChartOptions, Series, draw, nice_ticks

WIDTH, HEIGHT = 60, 12
LETTERS = ChartOptions(blocks=False, colour=False)


def series(ys: Sequence[float], *, letter: str = "a", xs: Sequence[float] | None = None, **more: float) -> Series:
    places = list(range(1, len(ys) + 1)) if xs is None else xs
    return Series((letter, tuple(map(repr, ys)), tuple(places)), places, ys, (90, 150, 250), letter, **more)


def drawn(ys: Sequence[float], options: ChartOptions = LETTERS) -> str:
    return draw([series(ys)], WIDTH, HEIGHT, options).plain


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.floats(), max_size=40), max_size=4),
    st.integers(0, 130),
    st.integers(0, 40),
    st.booleans(),
    st.booleans(),
)
def test_nothing_a_run_says_breaks_it_or_leaves_its_room(
    curves: list[list[float]], width: int, height: int, log_scale: bool, blocks: bool
) -> None:
    options = ChartOptions(log_scale=log_scale, blocks=blocks)
    lines = draw([series(ys, letter="abcd"[at]) for at, ys in enumerate(curves)], width, height, options).plain.split(
        "\n"
    )
    assert len(lines) <= max(1, height)
    assert all(len(line) <= width for line in lines)


def test_nothing_to_draw_is_nothing() -> None:
    assert draw([], WIDTH, HEIGHT, LETTERS).plain == ""
    assert drawn([]) == ""


@pytest.mark.parametrize("ys", [[math.nan], [math.inf, -math.inf, math.nan]])
def test_a_curve_without_a_finite_value_says_so(ys: list[float]) -> None:
    assert drawn(ys) == "no finite value to draw"


def test_a_single_point_and_a_constant_are_seen() -> None:
    assert drawn([2.0]).count("a") == 1
    assert drawn([3.0, 3.0, 3.0]).count("a") > WIDTH / 2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_marked_not_drawn(bad: float) -> None:
    text = drawn([1.0, 2.0, bad, 2.0, 1.0])
    assert text.count("!") == 1
    assert "a" in text


def test_the_log_scale_has_no_place_for_zero_but_marks_it() -> None:
    text = drawn([100.0, 10.0, 0.0, 1.0], ChartOptions(log_scale=True, blocks=False, colour=False))
    assert text.count("!") == 1
    assert "100" in text


def test_without_colour_there_is_no_style_and_conditions_differ_by_letter() -> None:
    text = draw([series([1, 2, 3]), series([3, 2, 1], letter="b")], WIDTH, HEIGHT, LETTERS)
    assert not text.spans or all(not str(span.style).strip() or str(span.style) == "none" for span in text.spans)
    assert "a" in text.plain
    assert "b" in text.plain


def test_no_braille_is_ever_used() -> None:
    for options in (ChartOptions(), LETTERS):
        assert not any(0x2800 <= ord(sign) <= 0x28FF for sign in drawn([math.sin(x / 5) for x in range(200)], options))


def test_smoothing_evens_out_what_is_finite() -> None:
    noisy = [1.0 if step % 2 else 2.0 for step in range(400)]
    smooth = draw([series(noisy, smoothing=0.95)], WIDTH, HEIGHT, LETTERS).plain
    rows = {line.index("a") for line in smooth.split("\n") if "a" in line}
    assert rows
    assert smooth.count("a") < drawn(noisy).count("a")


def test_one_drawing_leaves_nothing_to_the_next() -> None:
    first = drawn([1.0, 2.0, 3.0])
    draw([series([50.0, -50.0], letter="z")], 90, 20, ChartOptions(log_scale=True))
    assert drawn([1.0, 2.0, 3.0]) == first


def test_nine_curves_of_twenty_thousand_points_are_quick() -> None:
    ys = [[math.exp(-x / 5000) + at for x in range(20_000)] for at in range(9)]
    start = time.perf_counter()
    draw([series(one, letter=letter) for one, letter in zip(ys, "abcdefghi", strict=True)], 160, 30, ChartOptions())
    assert time.perf_counter() - start < 2.0


class Counted(list[float]):
    """Values that count how often they are gone through."""

    times = 0

    def __iter__(self) -> Iterator[float]:
        self.times += 1
        return super().__iter__()


def test_a_curve_that_did_not_change_is_worked_out_once_for_a_width() -> None:
    ys = Counted([1.0, 2.0, 3.0])
    one = Series("counted", [1, 2, 3], ys, (1, 2, 3), "a")
    for _ in range(3):
        draw([one], WIDTH, HEIGHT, LETTERS)
    assert ys.times == 1
    draw([one], WIDTH + 1, HEIGHT, LETTERS)
    assert ys.times == 2


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(1, 12))
def test_ticks_are_round_few_and_inside(low: float, span: float, wanted: int) -> None:
    ticks = nice_ticks(low, low + span, wanted)
    assert 1 <= len(ticks) <= 2 * wanted + 2
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    assert ticks == sorted(ticks)


def test_ticks_of_epochs_are_whole() -> None:
    assert nice_ticks(0, 3, 10, whole=True) == [0, 1, 2, 3]
