"""A run's log as lines, bounded: old lines go, the count of all lines stays."""

from __future__ import annotations

from collections import deque

from console.sanitize import sanitize_line

MAX_LINES = 20_000
MAX_LINE_BYTES = 16_384


class LogBuffer:
    """Takes bytes as they come and keeps the last lines, safe to show, as a terminal would leave them.

    Of a line that returned to its beginning, as progress bars do, what was written last stays.
    """

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=MAX_LINES)
        self.total = 0
        self._partial = b""
        self._dropped = 0

    def feed(self, chunk: bytes) -> int:
        """Add a chunk of the log; returns how many lines it completed. A line without end is held to 16 KiB."""
        *whole, rest = (self._partial + chunk).split(b"\n")
        for line in whole:
            self._add(line)
        self._partial = self._left_of(rest) + (b"\r" if rest.endswith(b"\r") else b"")
        return len(whole)

    def end(self) -> None:
        """Nothing more comes: what is there of a line without an end is a line."""
        if self._partial:
            self._add(self._partial)
            self._partial = b""

    def clear(self) -> None:
        """Forget everything: another launch writes another log."""
        self.lines.clear()
        self.total = 0
        self._partial = b""
        self._dropped = 0

    def _add(self, line: bytes) -> None:
        text = sanitize_line(self._left_of(line).decode("utf-8", "replace"))
        self.lines.append(f"{text} … (+{self._dropped:,} bytes)" if self._dropped else text)
        self.total += 1
        self._dropped = 0

    def _left_of(self, line: bytes) -> bytes:
        """What is kept of ``line``, and counted as dropped what is too long."""
        written = line.rstrip(b"\r")
        start = written.rfind(b"\r") + 1
        if start:
            self._dropped = 0
        kept = written[start : start + MAX_LINE_BYTES]
        self._dropped += len(written) - start - len(kept)
        return kept
