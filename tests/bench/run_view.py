"""An event reduced into the view of a run of 1,000,000 steps, against one of 1,000: it may not cost more."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from console.runs.run_view import RunView, reduce
from engine.contract.events import Event, Step
from engine.contract.settings import RunId
from tests.bench.row import Row, row

PAIRS = 15
EVENTS = 2000
LONG, SHORT = 1_000_000, 1000
RUN = RunId("A", 42)


def steps(first: int, count: int) -> Iterator[Event]:
    for number in range(first, first + count):
        yield Event(
            number, float(number), Step(number + 1, LONG, 1, 1 + math.sin(number * 1.3), 1e-3, {"tier1_easy": 64})
        )


def seconds_per_event(view: RunView) -> tuple[RunView, float]:
    """The view after ``EVENTS`` more events, reduced one at a time as on a live link, and the cost of one."""
    events = list(steps(view.next_seq, EVENTS))
    started = time.perf_counter()
    for event in events:
        view = reduce(view, (event,))
    return view, (time.perf_counter() - started) / EVENTS


def long_against_short(name: str, seconds: Callable[[RunView], tuple[RunView, float]]) -> Row:
    """Both lengths in turn; the long run grows on, the short one starts each time from the same view."""
    long, short = (reduce(RunView(RUN), steps(0, count)) for count in (LONG, SHORT))
    pairs = []
    for _ in range(PAIRS):
        long, ours = seconds(long)
        pairs.append((ours, seconds(short)[1]))
    return row(name, pairs, 1.5, f"ours: at {LONG:,} steps; peer: the same code at {SHORT:,} steps")


def measure() -> Row:
    return long_against_short("run view, cost per event", seconds_per_event)
