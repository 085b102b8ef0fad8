"""Charts: a redraw of a run of 1,000,000 steps against one of 1,000; nine runs of 20,000 steps against their goals in time."""

from __future__ import annotations

import asyncio
import math
import time
from array import array

from console.charts.chart import Chart, ChartOptions, RunCurve
from console.charts.drawing import draw
from console.charts.frame import frame
from console.charts.metrics import LOSS_METRIC
from console.charts.palette import styles
from console.runs.run_view import RunView, reduce
from console.runs.series import Series
from console.ui.live.pane import LivePane
from engine.contract.settings import RunId
from tests.bench.row import Row, row
from tests.bench.run_view import RUN, long_against_short, steps
from tests.console.ui.driving import console, until
from tests.console.ui.fake_session import FakeSession

REDRAWS = 5
PAIRS = 9
POINTS = 20_000
COLD_S, UNCHANGED_S = 0.060, 0.005
SMOOTHED = ChartOptions(smoothing=0.9)
RUNS = tuple(RunId(condition, seed) for condition in "ABC" for seed in (42, 123, 456))


def chart(curves: dict[RunId, Series]) -> Chart:
    """The loss of ``curves``, smoothed above the raw values of the first."""
    style_of = styles(curves)
    drawn = tuple(RunCurve(run, series, style_of[run]) for run, series in curves.items())
    return Chart(LOSS_METRIC, drawn, SMOOTHED, selected=next(iter(curves)))


def seconds_per_redraw(view: RunView) -> tuple[RunView, float]:
    """The view after ``REDRAWS`` more events, and the cost of one drawing of its loss curve, smoothed above raw."""
    draw(chart({RUN: view.losses}), 120, 30)
    started = time.perf_counter()
    for _ in range(REDRAWS):
        view = reduce(view, steps(view.next_seq, 1))
        draw(chart({RUN: view.losses}), 120, 30)
    return view, (time.perf_counter() - started) / REDRAWS


def measure() -> Row:
    return long_against_short("loss chart, cost per redraw", seconds_per_redraw)


def nine_series() -> dict[RunId, Series]:
    """Noisy losses that no drawing has read yet."""
    xs = array("d", range(1, POINTS + 1))
    return {
        run: Series(xs, (0.4 + at / 10 + 2 * math.exp(-4 * x / POINTS) + 0.1 * math.sin(x * 1.7) for x in xs))
        for at, run in enumerate(RUNS)
    }


def unchanged() -> Row:
    """What a tick of the UI costs for six charts of nine runs that have no new values, on the UI's path, against its goal."""
    return asyncio.run(_unchanged())


async def _unchanged() -> Row:
    session = FakeSession()
    session.show(*(reduce(RunView(run), steps(0, POINTS)) for run in session.snapshot.runs))
    async with console(session, (200, 60)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: pilot.app.screen.query(LivePane))
        pane = pilot.app.screen.query_one(LivePane)
        await until(pilot, lambda: len(pane.visible_panels) == 6 and pane.panel.drawn.x_limits is not None)
        pairs = []
        for _ in range(PAIRS):
            started = time.perf_counter()
            for _ in range(REDRAWS):
                pane.request_drawings()
            pairs.append(((time.perf_counter() - started) / REDRAWS, UNCHANGED_S))
    return row(f"6 charts of 9 x {POINTS:,} points, unchanged", pairs, 1.0, "ours: a tick on the UI's path; peer: 5 ms")


def cold() -> Row:
    """Processor time of the thread that draws nine runs for the first time, frame and all, against its goal."""
    draw(chart(nine_series()), 120, 30)  # imports
    pairs = []
    for _ in range(PAIRS):
        made = chart(nine_series())
        frame.cache_clear()
        started = time.thread_time()
        draw(made, 120, 30)
        pairs.append((time.thread_time() - started, COLD_S))
    return row(f"chart of 9 x {POINTS:,} points, cold", pairs, 1.0, "ours: CPU time of a first drawing; peer: 60 ms")
