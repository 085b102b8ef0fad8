"""Charts draw any values within their size, the same way every time, and read only the points that are new."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from console.runs.series import Series
from console.ui.live.chart import ChartOptions, ChartPanel, Curve, draw, nice_ticks

WIDTH, HEIGHT = 60, 12
LETTERS = ChartOptions(blocks=False, colour=False)


def curve(ys: Sequence[float], *, letter: str = "a", smoothing: float = 0.0) -> Curve:
    return Curve(Series(range(1, len(ys) + 1), ys), (90, 150, 250), letter, smoothing)


def drawn(ys: Sequence[float], options: ChartOptions = LETTERS) -> str:
    return draw([curve(ys)], WIDTH, HEIGHT, options).plain


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.floats(), max_size=40), max_size=4),
    st.integers(0, 130),
    st.integers(0, 40),
    st.booleans(),
    st.booleans(),
)
def test_any_values_are_drawn_within_the_size(
    curves: list[list[float]], width: int, height: int, log_scale: bool, blocks: bool
) -> None:
    options = ChartOptions(log_scale=log_scale, blocks=blocks)
    lines = draw([curve(ys, letter="abcd"[at]) for at, ys in enumerate(curves)], width, height, options).plain.split(
        "\n"
    )
    assert len(lines) <= max(1, height)
    assert all(len(line) <= width for line in lines)


def test_no_curve_or_no_value_gives_no_text() -> None:
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


def test_the_log_scale_marks_zero_and_does_not_draw_it() -> None:
    text = drawn([100.0, 10.0, 0.0, 1.0], ChartOptions(log_scale=True, blocks=False, colour=False))
    assert text.count("!") == 1
    assert "100" in text


def test_without_colour_there_is_no_style_and_conditions_differ_by_letter() -> None:
    text = draw([curve([1, 2, 3]), curve([3, 2, 1], letter="b")], WIDTH, HEIGHT, LETTERS)
    assert not text.spans or all(not str(span.style).strip() or str(span.style) == "none" for span in text.spans)
    assert "a" in text.plain
    assert "b" in text.plain


def test_no_braille_is_ever_used() -> None:
    for options in (ChartOptions(), LETTERS):
        assert not any(0x2800 <= ord(sign) <= 0x28FF for sign in drawn([math.sin(x / 5) for x in range(200)], options))


def test_smoothing_evens_out_finite_values() -> None:
    noisy = [1.0 if step % 2 else 2.0 for step in range(400)]
    smoothed = draw([curve(noisy, smoothing=0.95)], WIDTH, HEIGHT, LETTERS).plain
    rows = {line.index("a") for line in smoothed.split("\n") if "a" in line}
    assert rows
    assert smoothed.count("a") < drawn(noisy).count("a")


def test_a_drawing_does_not_depend_on_the_one_before() -> None:
    first = drawn([1.0, 2.0, 3.0])
    draw([curve([50.0, -50.0], letter="z")], 90, 20, ChartOptions(log_scale=True))
    assert drawn([1.0, 2.0, 3.0]) == first


def test_a_longer_series_is_drawn_as_if_drawn_for_the_first_time_and_so_is_an_older_one() -> None:
    ys = [math.sin(index * 1.3) + 2 for index in range(3000)]
    short = Series(range(2000), ys[:2000])
    long = short.extended(array("d", range(2000, 3000)), array("d", ys[2000:]))
    for options in (LETTERS, ChartOptions(log_scale=True, blocks=False, colour=False)):
        for series in (short, long, short):
            fresh = Series(*series.points())
            expected = draw([Curve(fresh, (1, 2, 3), "a", 0.9)], WIDTH, HEIGHT, options)
            assert draw([Curve(series, (1, 2, 3), "a", 0.9)], WIDTH, HEIGHT, options) == expected


def test_a_redraw_reads_only_the_points_that_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[int] = []
    points = Series.points

    def counted(series: Series, start: int = 0) -> tuple[array[float], array[float]]:
        starts.append(start)
        return points(series, start)

    monkeypatch.setattr(Series, "points", counted)
    series = Series([1, 2, 3], [1, 2, 3])
    draw([Curve(series, (1, 2, 3), "a")], WIDTH, HEIGHT, LETTERS)
    draw([Curve(series, (1, 2, 3), "a")], WIDTH + 1, HEIGHT, LETTERS)
    draw([Curve(series.extended(array("d", [4]), array("d", [4])), (1, 2, 3), "a")], WIDTH, HEIGHT, LETTERS)
    assert starts == [0, 3, 3]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(1, 12))
def test_ticks_are_round_few_and_inside(low: float, span: float, wanted: int) -> None:
    ticks = nice_ticks(low, low + span, wanted)
    assert 1 <= len(ticks) <= 2 * wanted + 2
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    assert ticks == sorted(ticks)


def test_ticks_of_epochs_are_whole() -> None:
    assert nice_ticks(0, 3, 10, whole=True) == [0, 1, 2, 3]


class OnlyChart(App[None]):
    def compose(self) -> ComposeResult:
        yield ChartPanel("nothing yet", id="chart")


async def test_a_panel_draws_again_only_what_has_changed() -> None:
    drawn: list[int] = []
    series = Series([1, 2, 3], [1, 2, 3])

    def curves(number: int) -> list[Curve]:
        drawn.append(number)
        return [Curve(series, (1, 2, 3), "a")]

    async with OnlyChart().run_test(size=(WIDTH, HEIGHT)) as pilot:
        panel = pilot.app.query_one(ChartPanel)
        for number, key in enumerate(("one", "one", "other")):
            panel.request(key, partial(curves, number), LETTERS)
            await pilot.app.workers.wait_for_complete()
            await pilot.pause()
        assert drawn == [0, 2]
        panel.request("other", partial(curves, 3), ChartOptions(log_scale=True))
        await pilot.app.workers.wait_for_complete()
        assert drawn == [0, 2, 3]
