"""A redraw of the loss chart of a run of 1,000,000 steps, against one of 1,000: it may not cost more."""

from __future__ import annotations

import time

from console.runs.run_view import RunView, reduce
from console.ui.live.chart import ChartOptions, draw
from console.ui.live.curves import loss_curves
from tests.bench.row import Row
from tests.bench.run_view import RUN, long_against_short, steps

REDRAWS = 5


def seconds_per_redraw(view: RunView) -> tuple[RunView, float]:
    """The view after ``REDRAWS`` more events, and the cost of one drawing of its loss curve, smoothed above raw."""
    options = ChartOptions()
    draw(loss_curves({RUN: view}, RUN, smoothed=True), 120, 30, options)
    started = time.perf_counter()
    for _ in range(REDRAWS):
        view = reduce(view, steps(view.next_seq, 1))
        draw(loss_curves({RUN: view}, RUN, smoothed=True), 120, 30, options)
    return view, (time.perf_counter() - started) / REDRAWS


def measure() -> Row:
    return long_against_short("loss chart, cost per redraw", seconds_per_redraw)
