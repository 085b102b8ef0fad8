"""A chart as a picture says what the one on the screen says, and is the same each time."""

from __future__ import annotations

import re
import sys

import pytest

from console.charts.chart import Chart, ChartOptions, chart_of
from console.charts.export import chart_png, chart_svg
from console.charts.metrics import LOSS_METRIC, Metric
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Gates
from engine.contract.settings import RunId
from tests.console.ui.scenes import training, view_of

RUNS = {RunId("A", seed): view_of(RunId("A", seed), "running", training(100, offset=seed / 1000)) for seed in (42, 123)}


def chart(metric: Metric, options: ChartOptions) -> Chart:
    return chart_of(RUNS, metric, options, selected=RunId("A", 42), gates=Gates())


def test_the_svg_has_title_axes_names_and_references_and_is_the_same_each_time() -> None:
    made = chart(Metric("dev.top1", "dev top-1", "%"), ChartOptions(mode="both"))
    text = chart_svg(made)
    words = " ".join(re.findall(r">([^<>]+)</text>", text))
    for part in (
        "dev top-1 %, runs, mean ±sd",
        "A/42",
        "A/123",
        "A ±",
        "n2",
        "pooling 45.2%",
        "chance 43.5%",
        "gate 30.0%",
        "step",
    ):
        assert part in words, part
    assert chart_svg(made) == text


def test_an_empty_chart_and_a_logarithmic_one_can_be_drawn() -> None:
    assert "training loss" in chart_svg(Chart(LOSS_METRIC, ()))
    assert "log" in chart_svg(chart(LOSS_METRIC, ChartOptions(smoothing=0.9, log_scale=True, x="elapsed")))


def test_the_png_is_1600_by_900() -> None:
    written = chart_png(chart(LOSS_METRIC, ChartOptions()))
    assert written[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(written[16:20], "big"), int.from_bytes(written[20:24], "big")) == (1600, 900)


@pytest.mark.filterwarnings("error")
def test_a_reference_far_away_is_named_at_the_edge() -> None:
    assert "gate 30.0% (below)" in chart_svg(chart(Metric("dev.top1", "dev top-1", "%"), ChartOptions()))


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BadInput, match="qllm-console\\[report\\]"):
        chart_svg(chart(LOSS_METRIC, ChartOptions()))
