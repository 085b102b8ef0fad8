"""Index of a run's event file by time: what was known of the run at any moment, without reading the file from its beginning."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from console.runs.run_view import RunView, reduce
from engine.contract import events
from engine.contract.events import Event
from engine.contract.run_folder import open_regular

MAX_EVENT_LINE = 1 << 20
_KEPT_EVERY = 512  # lines; going back costs the lines since the view that is kept before


class EventIndex:
    """The whole lines of an event file with their times, and views of the run that are kept on the way.

    A line's time is the latest of its own and those before it, so that a clock which was set back hides nothing; a line
    that is no event has the time of the line before. Memory: 16 bytes a line, beside what the views share.

    Attributes:
        times: of each line, the host's Unix time in s; they never fall.
        last: the view after all lines.
    """

    def __init__(self, path: Path, view: RunView) -> None:
        """Read the file at ``path``, on top of ``view``. Blocks.

        Raises:
            OSError: it cannot be read.
        """
        self.times = array("d")
        self.last = view
        self._path = path
        self._offsets = array("q", [0])
        self._kept = [view]
        self._read()

    def _read(self) -> None:
        try:
            file = open_regular(self._path)
        except FileNotFoundError:
            return
        batch: list[bytes] = []
        latest = 0.0
        with file:
            for line, size in whole_lines(file):
                batch.append(line)
                self._offsets.append(self._offsets[-1] + size)
                if len(batch) == _KEPT_EVERY:
                    latest = self._add(batch, latest)
                    self._kept.append(self.last)
                    batch = []
        self._add(batch, latest)

    def _add(self, lines: list[bytes], latest: float) -> float:
        found = decode_lines(lines)
        for event in found:
            latest = max(latest, event.t) if event is not None else latest
            self.times.append(latest)
        self.last = reduce_decoded(self.last, found)
        return latest

    def count_at(self, time: float) -> int:
        """Lines up to ``time``, host's Unix time in s."""
        return bisect_right(self.times, time)

    def view(self, count: int, present: RunView | None = None, present_count: int = 0) -> RunView:
        """The view after the first ``count`` lines. Blocks.

        Args:
            present: the view after the first ``present_count`` lines, from which a later one is made.

        Raises:
            OSError: the file cannot be read any more.
        """
        if count == len(self.times):
            return self.last
        start = count // _KEPT_EVERY
        view, done = self._kept[start], start * _KEPT_EVERY
        if present is not None and done <= present_count <= count:
            view, done = present, present_count
        if done == count:
            return view
        with open_regular(self._path) as file:
            file.seek(self._offsets[done])
            content = file.read(self._offsets[count] - self._offsets[done])
        return reduce_decoded(view, decode_lines(content.split(b"\n")[:-1]))


def whole_lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each line of ``file`` that has its newline, and its size in bytes; of one that is too long to be an event, nothing."""
    size = 0
    while piece := file.readline(MAX_EVENT_LINE + 1):
        size += len(piece)
        if piece.endswith(b"\n"):
            yield (piece if size == len(piece) else b""), size
            size = 0


def decode_lines(lines: Iterable[bytes]) -> list[Event | None]:
    """The event of each line; None for a line that is none."""
    found: list[Event | None] = []
    for line in lines:
        try:
            found.append(events.decode(line) if len(line) <= MAX_EVENT_LINE else None)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            found.append(None)
    return found


def reduce_decoded(view: RunView, found: list[Event | None]) -> RunView:
    """``view`` after the events of ``decode_lines``; lines that were none are counted."""
    view = reduce(view, (event for event in found if event is not None))
    rejected = sum(event is None for event in found)
    return msgspec.structs.replace(view, rejected=view.rejected + rejected) if rejected else view
