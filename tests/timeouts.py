"""A test that ran into its time limit fails, even where the interruption was swallowed: an event loop may do that."""

from __future__ import annotations

import signal
from collections.abc import Generator
from types import FrameType
from typing import Any

import pytest

AGAIN_S = 10.0
TIMED_OUT = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(item: pytest.Item) -> Generator[None, object, object]:
    """Note the interruption by pytest-timeout, and repeat it for a test that swallows it and continues."""
    done = yield
    interrupt = signal.getsignal(signal.SIGALRM)
    if callable(interrupt):

        def note_and_interrupt(number: int, frame: FrameType | None) -> Any:
            item.stash[TIMED_OUT] = True
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
            return interrupt(number, frame)

        signal.signal(signal.SIGALRM, note_and_interrupt)
    return done


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn success after an interruption into failure."""
    report = yield
    if item.stash.get(TIMED_OUT, False):
        item.stash[TIMED_OUT] = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        if report.passed:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: ran into its time limit; what it was interrupted with was swallowed"
    return report
