"""Index of a log file by blocks: where lines and rows begin, where errors and steps are; its memory is bounded."""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence

from console.runs.log_text import STEP, clean_lines, folded_lines, is_plain, last_time, line_keys, parse_lines

BLOCK_BYTES = 64 << 10
BLOCK_LINES = 2000
MAX_BLOCKS = 1 << 16  # then two blocks become one: the index takes 5 MB at most, however long the log

_HINTS = (
    b"rror",
    b"RROR",
    b"arning",
    b"WARN",
    b"xception",
    b"Traceback",
    b"CRITICAL",
    b"FATAL",
    b"nterrupt",
    b"Killed",
    b"Segm",
)
_STEP = re.compile(STEP.pattern.encode())
_STEP_TRIES = 8


class LogIndex:
    """Index of a log by blocks: whole lines of about ``block_bytes``.

    Attributes:
        offsets, lines, rows: by block, its first byte, line and row; one entry more at the end, for what comes next.
        errors, warnings: by block, lines of that level; of an error with a traceback, the first line counts.
        first_step, last_step: by block, steps that its lines name; -1 for none.
        times: by block, the last timestamp above it, Unix time in s; NaN before one.
        in_traceback: by block, whether the line above it belongs to a traceback that is not over.
        plain: by block, whether it holds nothing but printable ASCII.
        continues_row: by block, whether its first line replaces the line above it in that one's row.
        merges: how often two blocks became one, by which a reader notices that block numbers have changed.
    """

    def __init__(self) -> None:
        self.block_bytes, self.block_lines = BLOCK_BYTES, BLOCK_LINES
        self.merges = 0
        self.offsets, self.lines, self.rows = array("q", [0]), array("q", [0]), array("q", [0])
        self.errors, self.warnings = array("l"), array("l")
        self.first_step, self.last_step = array("q"), array("q")
        self.times = array("d")
        self.in_traceback, self.plain, self.continues_row = bytearray(), bytearray(), bytearray()
        self.error_total = self.warning_total = 0
        self.overwriting = False  # the last line is overwritten by what comes next
        self._before = b""
        self._time = math.nan
        self._traceback = False

    def __len__(self) -> int:
        return len(self.errors)

    @property
    def has_times(self) -> bool:
        """Whether some line has a timestamp."""
        return not math.isnan(self._time)

    def block_of_line(self, number: int) -> int:
        """Block with line ``number``."""
        return max(0, bisect_right(self.lines, number, 0, len(self)) - 1)

    def block_of_row(self, row: int) -> int:
        """Block in which ``row`` begins."""
        return max(0, bisect_right(self.rows, row, 0, len(self)) - 1)

    def add(self, raw: bytes, lines: Sequence[bytes], overwritten: list[int], size: int) -> None:
        """Add the next lines: ``size`` bytes of the file, of which ``raw`` is what was read of them."""
        keys = line_keys(lines)
        folded = folded_lines(lines, keys, overwritten, None if self.overwriting else self._before)
        if self._is_full(len(lines), size):
            self._new_block(continues=folded[:1] == [0])
        self.offsets[-1] += size
        self.lines[-1] += len(lines)
        self.rows[-1] += len(lines) - len(folded)
        self._before, self.overwriting = keys[-1], overwritten[-1:] == [len(lines) - 1]
        self.plain[-1] = self.plain[-1] and is_plain(raw)
        self._count_levels(lines, keys)
        self._note_steps(raw)
        if (time := last_time(lines)) is not None:
            self._time = time

    def _is_full(self, lines: int, size: int) -> bool:
        if not len(self):
            return True
        in_block = self.offsets[-1] - self.offsets[-2], self.lines[-1] - self.lines[-2]
        return in_block[0] + size > self.block_bytes or in_block[1] + lines > self.block_lines

    def _new_block(self, continues: bool) -> None:
        if len(self) >= MAX_BLOCKS:
            self._merge()
        for ends in (self.offsets, self.lines, self.rows):
            ends.append(ends[-1])
        self.errors.append(0)
        self.warnings.append(0)
        self.first_step.append(-1)
        self.last_step.append(-1)
        self.times.append(self._time)
        self.in_traceback.append(self._traceback)
        self.plain.append(True)
        self.continues_row.append(continues)

    def _merge(self) -> None:
        """Make one block of two."""
        end = [ends[-1] for ends in (self.offsets, self.lines, self.rows)]
        self.offsets, self.lines, self.rows = self.offsets[:-1:2], self.lines[:-1:2], self.rows[:-1:2]
        for ends, last in zip((self.offsets, self.lines, self.rows), end, strict=True):
            ends.append(last)
        self.errors, self.warnings = (array("l", map(sum, _pairs(one))) for one in (self.errors, self.warnings))
        self.first_step, self.last_step = (
            array("q", (next((step for step in pair if step >= 0), -1) for pair in _pairs(self.first_step))),
            array("q", (next((step for step in reversed(pair) if step >= 0), -1) for pair in _pairs(self.last_step))),
        )
        self.plain = bytearray(map(min, _pairs(self.plain)))
        self.times, self.in_traceback, self.continues_row = (
            self.times[::2],
            self.in_traceback[::2],
            self.continues_row[::2],
        )
        self.block_bytes, self.block_lines = 2 * self.block_bytes, 2 * self.block_lines
        self.merges += 1

    def _count_levels(self, lines: Sequence[bytes], keys: Sequence[bytes]) -> None:
        """Count errors and warnings; lines are read one by one only where some word could mean one."""
        words = b"\n".join(set(keys))  # many lines differ in numbers only
        if not self._traceback and not any(hint in words for hint in _HINTS):
            return
        parsed, self._traceback = parse_lines(0, clean_lines(lines), None, self._traceback)
        errors = sum(line.level == "error" and not line.continued for line in parsed)
        warnings = sum(line.level == "warning" for line in parsed)
        self.errors[-1] += errors
        self.warnings[-1] += warnings
        self.error_total += errors
        self.warning_total += warnings

    def _note_steps(self, raw: bytes) -> None:
        if b"tep" not in raw or not (first := _STEP.search(raw)):
            return
        if self.first_step[-1] < 0:
            self.first_step[-1] = int(first[1])
        at = len(raw)
        for _ in range(_STEP_TRIES):  # from the end: one match instead of all
            at = raw.rfind(b"tep", 0, at)
            if at > first.start() and (last := _STEP.search(raw, max(0, at - 2))):
                self.last_step[-1] = int(last[1])
                return
        self.last_step[-1] = int(first[1])


def _pairs(values: Sequence[int]) -> list[Sequence[int]]:
    return [values[at : at + 2] for at in range(0, len(values), 2)]
