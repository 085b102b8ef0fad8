"""A run's log as lines, bounded: old lines go, the count of all lines stays."""

from __future__ import annotations

from collections import deque

from console.sanitize import sanitize_line

MAX_LINES = 20_000
MAX_LINE_BYTES = 16_384


class LogBuffer:
    """Takes bytes as they come and keeps the last lines, safe to show."""

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
        if len(rest) > MAX_LINE_BYTES:
            self._dropped += len(rest) - MAX_LINE_BYTES
            rest = rest[:MAX_LINE_BYTES]
        self._partial = rest
        return len(whole)

    def clear(self) -> None:
        """Forget everything: another launch writes another log."""
        self.lines.clear()
        self.total = 0
        self._partial = b""
        self._dropped = 0

    def _add(self, line: bytes) -> None:
        text = sanitize_line(line[:MAX_LINE_BYTES].rstrip(b"\r").decode("utf-8", "replace"))
        cut = self._dropped + max(0, len(line) - MAX_LINE_BYTES)
        self.lines.append(f"{text} … (+{cut:,} bytes)" if cut else text)
        self.total += 1
        self._dropped = 0
