"""The chart of what a host's GPUs do while the console is connected."""

from __future__ import annotations

from array import array

from msgspec.structs import replace

from console.charts.chart import Chart, ChartOptions, RunCurve
from console.charts.metrics import HOST_METRICS, Metric
from console.charts.palette import COLOURS, DASHES, Style
from console.runs.host_facts import HostHistory
from console.runs.series import Series
from engine.contract.settings import RunId

_MIB_PER_GIB = 1024


def host_metrics(history: HostHistory) -> tuple[Metric, ...]:
    """Metrics of ``HOST_METRICS`` that at least one GPU of the host has reported."""
    gpus = [gpu for sample in history.samples for gpu in sample.gpus]
    return tuple(
        metric
        for metric in HOST_METRICS
        if any(getattr(gpu, metric.name.partition(".")[2]) is not None for gpu in gpus)
    )


def host_chart(history: HostHistory, metric: Metric, options: ChartOptions) -> Chart:
    """``metric`` of each GPU over the seconds since the console's first sample; zoom and crosshair are of runs, not of this."""
    count = max((len(sample.gpus) for sample in history.samples), default=0)
    curves = tuple(
        RunCurve(
            RunId("GPU", place),
            gpu_series(history, metric, place),
            Style(COLOURS[place % len(COLOURS)], str(place % 10), place // len(COLOURS) % len(DASHES)),
        )
        for place in range(count)
    )
    return Chart(metric, curves, replace(options, x="elapsed", x_range=None, crosshair=None, mode="runs"))


def gpu_series(history: HostHistory, metric: Metric, place: int) -> Series:
    """``metric`` of the GPU at ``place``; empty if it does not report it."""
    field = metric.name.partition(".")[2]
    scale = _MIB_PER_GIB if metric.unit == "GiB" else 1
    points = [
        (sample.at - history.samples[0].at, value / scale)
        for sample in history.samples
        if place < len(sample.gpus) and (value := getattr(sample.gpus[place], field)) is not None
    ]
    return Series(array("d", (at for at, _ in points)), array("d", (value for _, value in points)))
