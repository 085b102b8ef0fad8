"""Which lines of a log are shown: a filter over a growing, bounded buffer, brought up to date by its new lines only."""

from __future__ import annotations

from collections import deque
from itertools import islice

from msgspec import Struct
from rich.cells import cell_len

from console.runs.log_buffer import MAX_LINES, LogBuffer


class LogFilter(Struct, frozen=True):
    """Lines that hold every text of ``include`` and none of ``exclude``, in any case."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> LogFilter:
        """``loss !nan`` shows lines with "loss" and without "nan"; a lone ``!`` is nothing yet."""
        words = text.lower().split()
        exclude = tuple(word[1:] for word in words if word.startswith("!") and len(word) > 1)
        return cls(tuple(word for word in words if not word.startswith("!")), exclude)

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)

    def admits(self, line: str) -> bool:
        """Whether ``line`` is shown."""
        lowered = line.lower()
        return all(text in lowered for text in self.include) and not any(text in lowered for text in self.exclude)


class ShownLines:
    """The admitted lines of a buffer, oldest first, each with its number in the whole log."""

    def __init__(self, buffer: LogBuffer, wanted: LogFilter) -> None:
        self.lines: deque[tuple[int, str]] = deque(maxlen=MAX_LINES)
        self.widest = 0
        self._buffer = buffer
        self._wanted = wanted
        self._seen = 0

    def update(self) -> tuple[bool, int]:
        """Take in what the buffer got since the last time.

        Returns:
            Whether anything changed, and how many lines went from the front.
        """
        if self._buffer.total < self._seen:
            gone = len(self.lines)
            self.lines.clear()
            self.widest = self._seen = 0
            return True, gone
        kept = self._buffer.lines
        first = self._buffer.total - len(kept)
        gone = 0
        while self.lines and self.lines[0][0] < first:
            self.lines.popleft()
            gone += 1
        start = max(self._seen, first)
        changed = gone > 0 or start < self._buffer.total
        for number, line in enumerate(islice(kept, start - first, None), start=start):
            if self._wanted.admits(line):
                self.lines.append((number, line))
                self.widest = max(self.widest, len(line) if line.isascii() else cell_len(line))
        self._seen = self._buffer.total
        return changed, gone
