"""Runs work that reports by callback as a generator that yields its reports while it goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from queue import SimpleQueue
from typing import TypeVar

Report = TypeVar("Report")
Result = TypeVar("Result")


def reports_of(work: Callable[[Callable[[Report], None]], Result]) -> Generator[Report, None, Result]:
    """Run ``work(report)`` in a thread; yield what it reports; return its result or raise its exception.

    Closing the generator early does not stop the work: that ends by itself or with the process.
    """
    queue: SimpleQueue[Report | None] = SimpleQueue()
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work(queue.put))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            failure.append(error)
        finally:
            queue.put(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while (said := queue.get()) is not None:
        yield said
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
