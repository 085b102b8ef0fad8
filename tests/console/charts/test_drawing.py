"""Charts draw any values within their size, name what they draw, and stand still while values come."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from console.charts.chart import MODES, Chart, ChartOptions, RunCurve, chart_of
from console.charts.drawing import draw, drawing_of
from console.charts.frame import frame
from console.charts.metrics import LOSS_METRIC, Metric, Reference
from console.charts.palette import COLOURS, letters, styles
from console.charts.raster import spread_rows
from console.glyphs import GlyphName
from console.runs.series import Series
from engine.contract.experiment import Gates
from engine.contract.settings import RunId
from tests.console.ui.scenes import training, view_of

WIDTH, HEIGHT = 60, 13
PERCENT = Metric("dev.top1", "dev top-1", "%")
RUNS = tuple(RunId(condition, seed) for condition in "ABC" for seed in (42, 123, 456))


def chart(*values: Sequence[float], options: ChartOptions = ChartOptions(), **fields: object) -> Chart:  # noqa: B008
    style_of = styles(RUNS)
    curves = tuple(
        RunCurve(run, Series(range(1, len(ys) + 1), ys), style_of[run]) for run, ys in zip(RUNS, values, strict=False)
    )
    return replace(Chart(LOSS_METRIC, curves, options), **fields)


def lines(made: Chart, width: int = WIDTH, height: int = HEIGHT, glyphs: GlyphName = "ascii") -> list[str]:
    return draw(made, width, height, glyphs).plain.split("\n")


def canvas(made: Chart) -> str:
    """What is drawn between the axes."""
    drawing = drawing_of(made, WIDTH, HEIGHT, "ascii")
    rows = drawing.text.plain.split("\n")[1:-2]
    return "\n".join(row[drawing.left : drawing.left + drawing.columns] for row in rows)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.lists(st.floats(), max_size=40), max_size=4),
    st.integers(0, 130),
    st.integers(0, 40),
    st.builds(
        ChartOptions,
        mode=st.sampled_from(MODES),
        spread=st.sampled_from(["sd", "range"]),
        smoothing=st.sampled_from([0.0, 0.9]),
        log_scale=st.booleans(),
        y_mode=st.sampled_from(["automatic", "robust"]),
        x_range=st.sampled_from([None, (2.0, 5.0), (7.5, 7.9)]),
        crosshair=st.sampled_from([None, 3.0]),
        colour=st.booleans(),
    ),
    st.sampled_from(["braille", "blocks", "ascii"]),
)
def test_any_values_are_drawn_within_the_size(
    values: list[list[float]], width: int, height: int, options: ChartOptions, glyphs: GlyphName
) -> None:
    made = chart(*values, options=options, selected=RUNS[0], references=(Reference(0.5, "half"),))
    rows = lines(made, width, height, glyphs)
    assert len(rows) <= max(1, height)
    assert all(len(row) <= width for row in rows)
    assert glyphs != "ascii" or "".join(rows).isascii()


def test_without_values_it_says_so() -> None:
    assert lines(chart()) == ["training loss", "No training step yet: the curves begin when a run trains."]
    assert lines(chart([math.nan, math.inf])) == ["training loss", "no finite value to draw"]
    assert lines(chart([1.0, 2.0]), 19, 20)[1] == "no room for a chart"


def test_names_and_last_values_stand_at_the_ends_of_the_lines_each_in_its_own_row() -> None:
    rows = lines(chart(*([1.0, 0.5 + place / 1000] for place in range(9)), selected=RUNS[4]), 70, 13)
    for place, run in enumerate(RUNS):
        found = [row for row in rows if row.endswith(f"{run.label} {0.5 + place / 1000:.3f}")]
        assert len(found) == 1, run
    assert any(row.endswith(f">{RUNS[4].label} 0.504") for row in rows)


def test_where_rows_are_few_the_selected_run_keeps_its_name() -> None:
    text = "\n".join(lines(chart(*([1.0, 2.0],) * 9, selected=RUNS[8]), 70, 7))
    assert ">C/456 2.000" in text and "B/456" not in text


@given(st.lists(st.integers(0, 19), max_size=20))
def test_labels_never_lie_on_one_another_and_keep_their_order(wanted: list[int]) -> None:
    rows = spread_rows(wanted, 20)
    assert len(set(rows)) == len(rows) and all(0 <= row < 20 for row in rows)
    assert [rows[at] for at in sorted(range(len(wanted)), key=lambda at: wanted[at])] == sorted(rows)


def test_the_title_says_how_values_are_shown() -> None:
    options = ChartOptions(mode="mean", smoothing=0.9, log_scale=True, y_mode="robust", x_range=(1.0, 3.0))
    title = lines(chart([1.0, 2.0, 3.0], options=options), 100)[0]
    assert title == "training loss  mean +-sd, smooth 0.90, log, robust y, zoomed"
    assert "min-max" in lines(chart([1.0, 2.0], options=ChartOptions(mode="both", spread="range")), 100)[0]


def test_a_mean_has_its_spread_its_number_of_seeds_and_a_band() -> None:
    made = chart([1.0, 2.0, 3.0], [1.0, 3.0, 5.0], options=ChartOptions(mode="mean"))
    text = "\n".join(lines(made, 70))
    assert "A 4.000 +-1.4 n2" in text
    assert ":" in canvas(made) and "A" in canvas(made)
    assert "A/42" not in text
    assert "A 4.000 n2" in "\n".join(lines(made, 40)), "how many there are goes last"
    both = "\n".join(lines(replace(made, options=ChartOptions(mode="both")), 70))
    assert "A/42 3.000" in both and "A 4.000" in both


def test_a_diverged_seed_stays_visible_beside_the_mean_and_is_not_counted_where_it_has_no_value() -> None:
    made = chart([1.0, 1.0, 1.0], [1.0, 1.2, 1.4], [1.0, math.nan, math.nan], options=ChartOptions(mode="mean"))
    text = "\n".join(lines(made, 70))
    assert "A/456" in text and "A 1.200" in text and "n2" in text
    assert canvas(made).count("!") == 2
    finite = chart([1.0, 1.0], [1.0, 1.01], [1.0, 40.0], options=ChartOptions(mode="mean"))
    assert "A/456 40.000" in "\n".join(lines(finite, 70))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_marked_not_drawn(bad: float) -> None:
    text = canvas(chart([1.0, 2.0, bad, 2.0, 1.0]))
    assert text.count("!") == 1
    assert "a" in text


def test_a_logarithmic_scale_has_powers_of_ten_and_marks_zero() -> None:
    made = chart([1000.0, 10.0, 0.0, 1.0], options=ChartOptions(log_scale=True))
    assert [row.split("+")[0].strip() for row in lines(made, 60, 16) if "+" in row[:6]][:4] == [
        "1000",
        "100",
        "10",
        "1",
    ]
    assert canvas(made).count("!") == 1


def test_conditions_differ_by_colour_and_letter_seeds_by_dash() -> None:
    style_of = styles(RUNS)
    assert {style_of[RunId(name, 42)].colour for name in "ABC"} == set(COLOURS[:3])
    assert style_of[RUNS[0]].colour == style_of[RUNS[1]].colour
    assert len({style_of[run].dash for run in RUNS[:3]}) == 3
    assert letters(["base", "big"]) == {"base": "b", "big": "a"}
    solid = draw(chart([1.0] * 9), WIDTH, HEIGHT, "braille").plain
    dashed = draw(chart([], [1.0] * 9), WIDTH, HEIGHT, "braille").plain
    assert any(row.count("⠉") > 30 for row in solid.split("\n"))
    assert any("⠉⠉ ⠉⠉ " in row for row in dashed.split("\n"))


def luminance(colour: tuple[int, int, int]) -> float:
    parts = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_can_be_read_on_dark_and_on_light(colour: tuple[int, int, int]) -> None:
    light = luminance(colour)
    assert (1.05 / (light + 0.05)) >= 3 and (light + 0.05) / 0.05 >= 3


def test_without_colour_there_is_no_style() -> None:
    text = draw(chart([1.0, 2.0], options=ChartOptions(colour=False)), WIDTH, HEIGHT)
    assert all(not str(span.style).replace("none", "").replace("bold", "").strip() for span in text.spans)


def test_references_are_drawn_and_named_and_one_far_away_is_named_at_the_edge() -> None:
    made = chart([50.0, 52.0, 54.0], metric=PERCENT, references=(Reference(49.0, "pooling"), Reference(5.0, "gate")))
    text = canvas(made)
    assert "pooling 49.0%" in text and "- - - -" in text and "gate 5.0%v" in text


def test_a_small_chart_names_what_lies_inside_of_it_before_what_is_far_away() -> None:
    references = (Reference(5.0, "gate"), Reference(52.0, "pooling"), Reference(51.0, "chance"))
    made = chart([50.0, 52.0, 54.0], metric=PERCENT, references=references)
    small = draw(made, 60, 8).plain
    assert "pooling 52.0%" in small and "chance 51.0%" in small and "gate" not in small
    assert "gate 5.0%" in draw(made, 60, 14).plain


@pytest.mark.parametrize("glyphs", ["braille", "blocks", "ascii"])
def test_the_name_of_a_reference_is_whole_where_curves_cross_it(glyphs: GlyphName) -> None:
    made = chart([50.0 + step % 5 for step in range(100)], metric=PERCENT, references=(Reference(52.0, "pooling"),))
    assert "pooling 52.0%" in draw(made, 60, 8, glyphs).plain


def test_warnings_of_guardrails_stand_at_their_step() -> None:
    made = chart([1.0] * 10)
    made = replace(made, curves=(replace(made.curves[0], warnings=(5.0,)),))
    assert canvas(made).split("\n")[-1].strip() == "^"
    assert "^ warning" in lines(made)[0]


def test_the_chart_of_a_run_names_gate_pooling_chance_and_the_best_measurement() -> None:
    run = RunId("A", 42)
    made = chart_of({run: view_of(run, "running", training(100))}, PERCENT, ChartOptions(), selected=run, gates=Gates())
    text = draw(made, 100, 14).plain
    for part in (
        "dev top-1 %",
        "A/42 best at epoch 2.0",
        "pooling 45.2%",
        "chance 43.5%",
        "gate 30.0%↓",
        "▸A/42 48.0",
        " step",
    ):
        assert part in text


def test_limits_move_seldom_while_values_come_and_a_zoomed_fixed_view_never() -> None:
    ys = [2 * math.exp(-step / 200) + 0.1 * math.sin(step) for step in range(600)]
    fixed = ChartOptions(x_range=(100.0, 200.0), y_mode="fixed", y_range=(0.5, 1.5))

    def limits(options: ChartOptions, count: int) -> object:
        drawing = drawing_of(chart(ys[:count], options=options), WIDTH, HEIGHT, "braille")
        return drawing.x_limits, drawing.y_limits

    assert len({limits(ChartOptions(), count) for count in range(100, 600, 5)}) <= 14
    assert {limits(fixed, count) for count in range(210, 600, 20)} == {((100.0, 200.0), (0.5, 1.5))}
    zoomed = {
        draw(chart(ys[:count], options=replace(fixed, smoothing=0.9)), 40, 13).plain for count in range(210, 600, 20)
    }
    assert len(zoomed) == 1


def test_robust_limits_leave_out_an_outlier() -> None:
    ys = [1.0 + 0.1 * math.sin(step) for step in range(400)]
    ys[7] = 1e6
    robust = drawing_of(chart(ys, options=ChartOptions(y_mode="robust")), WIDTH, HEIGHT, "braille").y_limits
    assert robust is not None and robust[1] < 2


def test_a_zoomed_part_is_drawn_at_full_resolution() -> None:
    ys = [0.0] * 20_000
    ys[10_001] = 1.0
    whole = canvas(chart(ys, options=ChartOptions(x_range=(10_000.0, 10_004.0))))
    assert len({column for row in whole.split("\n") for column, sign in enumerate(row) if sign == "a"}) > 20


def test_at_the_crosshair_the_names_have_the_values_there() -> None:
    text = "\n".join(lines(chart([1.0, 2.0, 3.0], options=ChartOptions(crosshair=2.0)), 70))
    assert "A/42 2.000" in text and "at step 2" in text
    rows = lines(chart([1.0, 5.0, 9.0], [9.0, 4.0, 1.0], options=ChartOptions(crosshair=1.0)), 70)
    assert [row.split("A/")[1] for row in rows if "A/" in row] == ["123 9.000", "42 1.000"]


def test_a_longer_series_is_drawn_as_if_for_the_first_time_and_so_is_an_older_one() -> None:
    ys = [math.sin(index * 1.3) + 2 for index in range(3000)]
    short = Series(range(2000), ys[:2000])
    long = short.extended(array("d", range(2000, 3000)), array("d", ys[2000:]))
    for log_scale in (False, True):
        options = ChartOptions(smoothing=0.9, log_scale=log_scale)
        for series in (short, long, short):
            curve = RunCurve(RUNS[0], series, styles(RUNS)[RUNS[0]])
            fresh = replace(curve, series=Series(*series.points()))
            assert draw(Chart(LOSS_METRIC, (curve,), options), 60, 12) == draw(
                Chart(LOSS_METRIC, (fresh,), options), 60, 12
            )


def test_a_redraw_reads_only_the_points_that_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[int] = []
    points = Series.points

    def counted(series: Series, start: int = 0) -> tuple[array[float], array[float]]:
        starts.append(start)
        return points(series, start)

    monkeypatch.setattr(Series, "points", counted)
    series = Series([1, 2, 3], [1, 2, 3])
    curve = RunCurve(RUNS[0], series, styles(RUNS)[RUNS[0]])
    draw(Chart(LOSS_METRIC, (curve,)), 60, 12)
    draw(Chart(LOSS_METRIC, (curve,)), 61, 12)
    draw(Chart(LOSS_METRIC, (replace(curve, series=series.extended(array("d", [4]), array("d", [4]))),)), 60, 12)
    assert starts == [0, 3, 3]


def test_the_frame_is_drawn_once_while_limits_stand() -> None:
    frame.cache_clear()
    for last in (1.0, 1.01, 1.02):
        draw(chart([2.0, last]), 60, 12)
    assert frame.cache_info().misses == 1
