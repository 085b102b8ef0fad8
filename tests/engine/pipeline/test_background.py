"""Work that reports by callback, as a generator."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from engine.pipeline.prepare import reports_of


def test_reports_come_while_the_work_goes_and_its_result_at_the_end() -> None:
    seen = threading.Event()

    def work(report: Callable[[str], None]) -> int:
        report("first")
        assert seen.wait(5)
        report("second")
        return 7

    running = reports_of(work)
    assert next(running) == "first"
    seen.set()
    assert next(running) == "second"
    with pytest.raises(StopIteration) as end:
        next(running)
    assert end.value.value == 7


def test_its_exception_is_raised_where_it_was_asked_for() -> None:
    def work(report: Callable[[str], None]) -> None:
        report("first")
        raise KeyError("lost")

    running = reports_of(work)
    assert next(running) == "first"
    with pytest.raises(KeyError, match="lost"):
        next(running)
