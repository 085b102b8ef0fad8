"""When each part of a run's log was written: by its timestamps, or in a log without any by the events that it tells of."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable
from pathlib import Path

from console.runs.log_text import last_time
from engine.contract.events import Checkpoint, End, Evaluation, Event, Measurement, Progress, Stage, Step
from engine.contract.run_folder import open_regular

_MARK = re.compile(
    r"\s*(?:(?P<stage>\[\w+\])|(?P<step>(?:measured at |checkpoint at )?step \d+)|(?P<progress>\d+/\d+ \w+)"
    r"|(?P<word>evaluation|end):)"
)
_PIECE = 1 << 20  # bytes that are read at once; a longer line counts as several


class LogTimes:
    """Sizes that a log file had, by time.

    A line without a time has that of the line before, and times never fall. Memory: 16 bytes for each change of time.
    """

    def __init__(self, path: Path, found: Iterable[Event] = ()) -> None:
        """Read the log at ``path``; ``found`` are the run's events, needed where its lines have no timestamps. Blocks.

        Raises:
            OSError: it cannot be read.
        """
        self._times = array("d")
        self._ends = array("q")
        self._read(path, found)

    def size_at(self, time: float) -> int:
        """Bytes of the log at ``time``, host's Unix time in s."""
        at = bisect_right(self._times, time)
        return self._ends[at - 1] if at else 0

    def _read(self, path: Path, found: Iterable[Event]) -> None:
        marks: dict[str, deque[float]] | None = None
        latest, end = 0.0, 0
        try:
            file = open_regular(path)
        except FileNotFoundError:
            return
        with file:
            while line := file.readline(_PIECE):
                end += len(line)
                time = last_time([line])
                if time is None and not latest:
                    marks = _event_times(found) if marks is None else marks
                if time is None and marks:
                    time = _take(marks, line)
                if time is not None and time > latest:
                    latest = time
                if self._times and self._times[-1] == latest:
                    self._ends[-1] = end
                else:
                    self._times.append(latest)
                    self._ends.append(end)


def _event_times(found: Iterable[Event]) -> dict[str, deque[float]]:
    """The times of the events that the engine writes a line of, by how that line begins."""
    times: dict[str, deque[float]] = defaultdict(deque)
    for event in found:
        if mark := _mark(event):
            times[mark].append(event.t)
    return times


def _mark(event: Event) -> str:
    match event.body:
        case Stage(name=name):
            return f"[{name}]"
        case Progress(done=done, total=total, unit=unit):
            return f"{done}/{total} {unit.split()[0] if unit.split() else ''}"
        case Step(step=step):
            return f"step {step}"
        case Measurement(step=step):
            return f"measured at step {step}"
        case Checkpoint(step=step):
            return f"checkpoint at step {step}"
        case Evaluation():
            return "evaluation"
        case End():
            return "end"
    return ""


def _take(marks: dict[str, deque[float]], line: bytes) -> float | None:
    """The time of the next event that ``line`` tells of; None if it tells of none."""
    found = _MARK.match(line[:200].decode("utf-8", "replace"))
    times = marks.get(found[found.lastgroup or 0]) if found else None
    return times.popleft() if times else None
