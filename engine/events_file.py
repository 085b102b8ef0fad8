"""Writes ``events.jsonl``: one event a line, numbered without gaps, each line out before the next event happens.

Every event but the two frequent kinds is flushed to the disk with all before it, so a power cut takes no more than the
steps and progress said since.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.contract.events import Body, Event, Progress, Step, decode, encode


class EventWriter:
    """Appends events to ``path``; the file and its folder are made at the first one.

    An existing file is continued: a line that a crash cut short is dropped, and numbering goes on after the last.

    Args:
        clock: gives the host's Unix time in seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._next: int | None = None

    def write(self, body: Body) -> Event:
        """Append ``body`` as the next event.

        Raises:
            OSError: the disk took none or only a part of the line; the next writer drops such a part.
        """
        if self._next is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._next = _repair(self.path)
        event = Event(self._next, self._clock(), body)
        with open(self.path, "ab") as file:
            file.write(encode(event) + b"\n")
            if not isinstance(body, Step | Progress):
                file.flush()
                os.fsync(file.fileno())
        self._next += 1
        return event


def _repair(path: Path) -> int:
    """Cut ``path`` after its last whole event; return the number of the next."""
    if not path.exists():
        return 0
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with open(path, "r+b") as file:
            file.truncate(whole)
    lines = content[:whole].splitlines()
    try:
        return decode(lines[-1]).seq + 1 if lines else 0
    except msgspec.MsgspecError:
        return len(lines)
