"""What the GPUs of a host do is a chart of its own, over the time that the console was connected."""

from __future__ import annotations

from msgspec.structs import replace

from console.charts.chart import ChartOptions
from console.charts.drawing import draw
from console.charts.host_chart import gpu_series, host_chart, host_metrics
from console.charts.metrics import HOST_METRICS
from console.runs.host_facts import Gpu, HostHistory
from tests.console.ui.fake_session import FACTS


def history(*uses: tuple[int | None, ...]) -> HostHistory:
    made = HostHistory()
    for at, values in enumerate(uses):
        gpus = tuple(Gpu("L40S", 46_080, 1024 * (at + 1), use, "550") for use in values)
        made = made.with_facts(replace(FACTS, gpus=gpus), 100.0 + 5 * at)
    return made


def test_only_what_a_gpu_reports_is_a_metric() -> None:
    assert [metric.title for metric in host_metrics(history((None,), (50,)))] == ["GPU use %", "GPU memory GiB"]
    assert host_metrics(HostHistory()) == ()


def test_each_gpu_has_a_curve_over_seconds_and_memory_is_in_gib() -> None:
    made = history((10, 20), (30, None), (50, 60))
    use, memory = HOST_METRICS[:2]
    assert [list(axis) for axis in gpu_series(made, use, 1).points()] == [[0, 10], [20, 60]]
    assert [list(axis) for axis in gpu_series(made, memory, 0).points()] == [[0, 5, 10], [1, 2, 3]]
    text = draw(host_chart(made, use, ChartOptions(x_range=(700.0, 800.0))), 80, 12).plain
    assert "GPU use %" in text and "GPU/0 50.0" in text and "GPU/1 60.0" in text and "h:mm:ss" in text


def test_without_a_sample_it_says_so() -> None:
    assert (
        "No sample of the host yet." in draw(host_chart(HostHistory(), HOST_METRICS[0], ChartOptions()), 80, 12).plain
    )
