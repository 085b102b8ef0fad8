"""The last lines of a run's log, bounded in number and length, safe to show."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from console.sanitize import sanitize_line

MAX_LINES = 20_000
MAX_LINE_BYTES = 16_384


class LogBuffer:
    """Takes bytes as they arrive and keeps the last ``MAX_LINES`` lines as a terminal would leave them.

    A carriage return starts a line over, so of a progress bar only its last state stays. ``split`` touches no line that is
    shown and may run in another thread than all else.

    Attributes:
        lines: the last lines, oldest first.
        total: lines there have been in all since the last ``clear``.
        cleared: how often the log was cleared, by which a reader notices a clearing that it did not see.
    """

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=MAX_LINES)
        self.total = 0
        self.cleared = 0
        self._partial = b""
        self._dropped = 0

    def feed(self, chunk: bytes) -> None:
        """Add a chunk of the log. Of a line, 16 KiB are kept."""
        self.extend(self.split(chunk))

    def split(self, chunk: bytes) -> list[str]:
        """The lines that ``chunk`` completes; what follows them is kept for the next chunk."""
        *whole, rest = (self._partial + chunk).split(b"\n")
        lines = [self._text(line) for line in whole]
        self._partial = self._kept(rest) + (b"\r" if rest.endswith(b"\r") else b"")
        return lines

    def skip(self, size: int) -> list[str]:
        """Leave out the next ``size`` bytes: the line that was begun, and a line that tells how many are missing."""
        return [*self._rest(), f"… {size:,} bytes of the log are left out here …"]

    def extend(self, lines: Iterable[str]) -> None:
        """Add lines that ``split`` made."""
        for line in lines:
            self.lines.append(line)
            self.total += 1

    def end(self) -> None:
        """The log is complete: a last line without a newline is a line, too."""
        self.extend(self._rest())

    def clear(self) -> None:
        """Forget everything."""
        self.lines.clear()
        self.total = 0
        self.cleared += 1
        self._partial, self._dropped = b"", 0

    def _rest(self) -> list[str]:
        lines = [self._text(self._partial)] if self._partial else []
        self._partial = b""
        return lines

    def _text(self, line: bytes) -> str:
        text = sanitize_line(self._kept(line).decode("utf-8", "replace"))
        dropped, self._dropped = self._dropped, 0
        return f"{text} … (+{dropped:,} bytes)" if dropped else text

    def _kept(self, line: bytes) -> bytes:
        """What is kept of ``line``; what is too long is counted as dropped."""
        written = line.rstrip(b"\r")
        start = written.rfind(b"\r") + 1
        if start:
            self._dropped = 0
        kept = written[start : start + MAX_LINE_BYTES]
        self._dropped += len(written) - start - len(kept)
        return kept
