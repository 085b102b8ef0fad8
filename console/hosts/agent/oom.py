"""Whether the kernel ended a job for lack of memory: by its log where that can be read, else by the count of its cgroup."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from console.hosts.agent.cgroups import oom_kills

KERNEL_LOG = Path("/dev/kmsg")
MAX_RECORD = 8192  # bytes; the kernel gives one record a read
MAX_RECORDS = 100_000
MAX_TEXT = 160  # characters of the kernel's own
RECENT_S = 60.0  # a run in whose cgroup a process was killed ends soon, or goes on without it
CLOCK_SKEW_S = 1.0  # between the kernel log's clock and the monotonic one
_KILLED = re.compile(r"out of memory[^\n]*: killed process (\d+) ", re.IGNORECASE)


class OutOfMemoryWatch:
    """Finds what the kernel reports of a job since this was made, which is before its start and in the cgroup it inherits."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._kills = oom_kills()
        self._killed_at: float | None = None

    def look(self) -> None:
        """Note whether the kernel ended a process of the cgroup: long before the end of a job it was one of another job."""
        kills = oom_kills()
        if self._kills is not None and kills is not None and kills > self._kills:
            self._killed_at = time.monotonic()
        self._kills = self._kills if kills is None else kills

    def evidence(self, pid: int) -> str:
        """What the kernel says of an end of process ``pid`` for lack of memory; "" if it says nothing."""
        for at, text in kernel_records():
            killed = _KILLED.search(text)
            if killed and int(killed.group(1)) == pid and at >= self._began - CLOCK_SKEW_S:
                return f"the host ran out of memory; the kernel says: {text[:MAX_TEXT]}"
        self.look()
        if self._killed_at is not None and time.monotonic() - self._killed_at < RECENT_S:
            return "the host ran out of memory: the kernel ended a process of the run's cgroup"
        return ""


def kernel_records() -> Iterator[tuple[float, str]]:
    """Seconds since boot and text of each record in the kernel's log; none where it cannot be read."""
    try:
        handle = os.open(KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for _ in range(MAX_RECORDS):
            try:
                record = os.read(handle, MAX_RECORD)
            except BrokenPipeError:  # records were overwritten meanwhile: the next read goes on
                continue
            except OSError:
                return
            if not record:
                return
            head, _, text = record.decode("utf-8", "replace").partition(";")
            with suppress(IndexError, ValueError):
                yield int(head.split(",")[2]) / 1e6, text.split("\n")[0]
    finally:
        os.close(handle)
