"""The log of one run as lines, read from its local file on demand, like a pager: only an index of it is kept in memory."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from threading import RLock

from msgspec import Struct

from console.runs.log_index import BLOCK_BYTES, LogIndex
from console.runs.log_text import (
    MAX_LINE_BYTES,
    LogLine,
    clean_lines,
    clean_text,
    folded_lines,
    line_keys,
    parse_lines,
    split_lines,
)
from console.sanitize import sanitize_line
from engine.contract.run_folder import open_regular

_CACHED_BLOCKS = 16
_PIECE_LINES = 2000
_KEPT = 4 * MAX_LINE_BYTES  # bytes of a line that is longer than what is read at once: more of it is never shown
_ENDS = (b"\n", b"\r")


class LogBlock(Struct, frozen=True):
    """Some consecutive lines of a log.

    Attributes:
        starts: indexes of the lines that begin a row when progress is folded.
    """

    first_line: int
    first_row: int
    lines: list[LogLine]
    starts: list[int]


class LogStore:
    """A log file that grows, as lines by number from 0. Whatever reads the file blocks; every method may run in any thread.

    Only ``refresh`` looks for new bytes. A carriage return ends a line, too: the line after it overwrites it. Progress that
    is folded takes one row: its last line. Of the file an index is kept, some 0.1% of its size and 5 MB at most.

    Attributes:
        path: the local file; None if there is none.
        opened: how often another log took the place of the one before, by which a reader notices it.
        index: what is known of each block of lines.
        error: why the file cannot be read; "" if it can.
        lock: held while ``index`` changes.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.opened = 0
        self.error = ""
        self.index = LogIndex()
        self.lock = RLock()
        self._scanned = 0
        self._ended = False
        self._partial: tuple[tuple[int, int, int], str] = ((0, 0, 0), "")
        self._blocks: OrderedDict[tuple[int, int, int, int], LogBlock] = OrderedDict()

    @property
    def total(self) -> int:
        """Lines that are complete and known."""
        return self.index.lines[-1]

    @property
    def rows(self) -> int:
        """Rows of these lines, with progress folded."""
        return self.index.rows[-1]

    @property
    def errors(self) -> int:
        """Errors among the lines; a traceback is one."""
        return self.index.error_total

    @property
    def warnings(self) -> int:
        """Warnings among the lines."""
        return self.index.warning_total

    @property
    def has_times(self) -> bool:
        """Whether some line has a timestamp."""
        return self.index.has_times

    @property
    def overwriting(self) -> bool:
        """Whether the line that is being written takes the place of the last one, as a progress bar does."""
        return self.index.overwriting

    def open(self, path: Path | None) -> None:
        """Show another log from now on, or the same file from its beginning: it has other content now."""
        with self.lock:
            self.path, self.error = path, ""
            self.index = LogIndex()
            self._scanned, self._ended = 0, False
            self._blocks.clear()
            self.opened += 1

    def move(self, path: Path) -> None:
        """Read the log from ``path`` from now on: the file was moved, its content is the same."""
        with self.lock:
            self.path = path

    def end(self) -> None:
        """Mark the log as complete: a last line without a newline is a line, too."""
        self._ended = True

    @property
    def behind(self) -> bool:
        """Whether the file has bytes that are not known yet. Costs one system call."""
        if self.path is None:
            return False
        try:
            size = self.path.stat().st_size
        except OSError:
            return False
        return size != self._scanned or (self._ended and size > self.index.offsets[-1])

    def refresh(self, limit: int = 1 << 20) -> bool:
        """Take in new lines of the file, about ``limit`` bytes; returns whether there are more."""
        opened = self.opened
        while limit > 0:
            with self.lock:
                if self.opened != opened:
                    return True
                if not (taken := self._take_piece()):
                    return False
            limit -= taken
        return True

    def catch_up(self) -> None:
        """Take in all that the file has now."""
        while self.refresh():
            pass

    def _take_piece(self) -> int:
        """Take in some new bytes; returns how many there were, 0 for none."""
        start = self.index.offsets[-1]
        begun = self._scanned - start
        known = begun if begun <= _KEPT else 0
        content = self._read(self._scanned - known, BLOCK_BYTES + known)
        if len(content) < known or (not content and self._has_shrunk()):
            self.open(self.path)  # its writer has begun another file
            return 1
        head = b"" if begun == known else self._read(start, _KEPT)
        if end := _last_end(content):
            content = _fewer_lines(content[:end])
            self._add(head + content, begun - known + len(content))
        elif self._ended and len(content) < BLOCK_BYTES and (head or content):
            self._add(head + content + b"\n", begun - known + len(content))
        else:  # what comes next may make one end of a carriage return
            content = content.rstrip(b"\r")
            self._scanned = max(self._scanned, self._scanned - known + len(content))
        return max(0, self._scanned - start - begun) or int(self.index.offsets[-1] > start)

    def _add(self, raw: bytes, size: int) -> None:
        """Add the next ``size`` bytes, of which ``raw`` was read."""
        lines, overwritten = split_lines(raw)
        self.index.add(raw, lines, overwritten, size)
        self._scanned = self.index.offsets[-1]

    def _has_shrunk(self) -> bool:
        try:
            return self.path is not None and self.path.stat().st_size < self._scanned
        except OSError:
            return False

    def _read(self, offset: int, size: int) -> bytes:
        """Bytes of the file; none where it cannot be read, or is another file than before."""
        if self.path is None or size <= 0:
            return b""
        try:
            with open_regular(self.path) as file:
                file.seek(offset)
                content = file.read(size)
        except FileNotFoundError:
            return b""
        except OSError as error:
            self.error = sanitize_line(f"{self.path}: {error.strerror}")
            return b""
        self.error = ""
        return content

    def line(self, number: int) -> LogLine:
        """Line ``number``; that of ``total`` is the one that is being written, "" if none is."""
        with self.lock:
            if number >= self.total:
                return LogLine(number, self.partial)
            block = self.block(self.index.block_of_line(number))
            at = number - block.first_line
            return block.lines[at] if at < len(block.lines) else LogLine(number, "")

    @property
    def partial(self) -> str:
        """The line that is being written, as far as it is known."""
        with self.lock:
            start = self.index.offsets[-1]
            version = (self.opened, start, self._scanned)
            if version != self._partial[0]:  # it is asked for at each tick
                raw = self._read(start, min(self._scanned - start, _KEPT))
                self._partial = version, clean_lines([raw.rstrip(b"\r\n").rpartition(b"\r")[2]])[0] if raw else ""
            return self._partial[1]

    def lines(self, start: int = 0, stop: int | None = None) -> Iterator[LogLine]:
        """Lines ``start`` to ``stop``, all that are complete by default."""
        number = start
        while number < (self.total if stop is None else min(stop, self.total)):
            with self.lock:
                if number >= self.total:
                    return
                block = self.block(self.index.block_of_line(number))
            lines = block.lines[number - block.first_line :]
            if not lines:
                return
            yield from lines if stop is None else lines[: stop - number]
            number += len(lines)

    def block(self, number: int) -> LogBlock:
        """The lines of a block of the index; the last ones that were asked for are kept."""
        with self.lock:
            index = self.index
            first, end = index.lines[number], index.lines[number + 1]
            key = (self.opened, index.merges, number, end - first)
            if (block := self._blocks.get(key)) is not None:
                self._blocks.move_to_end(key)
                return block
            texts, starts = self._block_texts(number)
            time = None if math.isnan(index.times[number]) else index.times[number]
            lines, _ = parse_lines(first, texts, time, bool(index.in_traceback[number]))
            block = LogBlock(first, index.rows[number], lines, starts)
            self._blocks[key] = block
            while len(self._blocks) > _CACHED_BLOCKS:
                self._blocks.popitem(last=False)
            return block

    def block_text(self, number: int) -> str:
        """The lines of a block with their timestamps, safe to show, as one text."""
        with self.lock:
            return clean_text(self._block_lines(number)[0])

    def block_raw(self, number: int, count: int = 1) -> bytes:
        """The bytes of a block, or of ``count`` consecutive ones; of lines that are very long, the beginning."""
        with self.lock:
            start, end = self.index.offsets[number], self.index.offsets[number + count]
            usual = 4 * count * self.index.block_bytes
        return self._read(start, end - start) if end - start <= usual else self._read_shortened(start, end)

    def _block_lines(self, number: int) -> tuple[list[bytes], list[int]]:
        """Lines of a block, and the indexes of those that are overwritten."""
        raw = self.block_raw(number)
        lines, overwritten = split_lines(raw if raw.endswith(_ENDS) else raw + b"\n")
        count = self.index.lines[number + 1] - self.index.lines[number]
        lines += [b""] * (count - len(lines))  # another process may have replaced the file
        return lines[:count], overwritten

    def _block_texts(self, number: int) -> tuple[list[str], list[int]]:
        lines, overwritten = self._block_lines(number)
        folded = set(folded_lines(lines, line_keys(lines), overwritten, b""))
        if self.index.continues_row[number]:
            folded.add(0)
        starts = [at for at in range(len(lines)) if at not in folded]
        return clean_lines(lines), starts

    def _read_shortened(self, start: int, end: int) -> bytes:
        """Bytes from ``start`` to ``end``; of each line that is longer than what is read at once, the beginning."""
        kept, length = [], 0  # of the line that is being read
        while start < end and (content := self._read(start, min(end - start, BLOCK_BYTES))):
            start += len(content)
            ends = [at for at in map(content.find, _ENDS) if at >= 0]
            first, last = (min(ends), _last_end(content)) if ends else (len(content), 0)
            kept.append(content[: min(first, max(0, _KEPT - length))])
            length += first
            if ends:
                last = max(last, first)
                kept += [content[first:last], content[last:][:_KEPT]]
                length = len(content) - last
        return b"".join(kept)

    def row_lines(self, row: int) -> tuple[int, int]:
        """First and last line of a row, with progress folded; the last one is shown."""
        with self.lock:
            first = self._row_start(row)
            last = self._row_start(row + 1) - 1 if row + 1 < self.rows else self.total - 1
            return first, max(first, last)

    def _row_start(self, row: int) -> int:
        number = self.index.block_of_row(row)
        block = self.block(number)
        at = row - self.index.rows[number]
        return block.first_line + (block.starts[at] if at < len(block.starts) else 0)

    def row_of_line(self, number: int) -> int:
        """The row that line ``number`` is in, with progress folded."""
        with self.lock:
            if number >= self.total:
                return max(0, self.rows - 1)
            at = self.index.block_of_line(number)
            block = self.block(at)
            return max(0, self.index.rows[at] + bisect_right(block.starts, number - block.first_line) - 1)

    def line_of_step(self, step: int) -> int | None:
        """The last line that names ``step``, or else the one with the step nearest below it; None if no line names one."""
        with self.lock:
            index, below = self.index, None
            named = [at for at in range(len(index)) if index.first_step[at] >= 0]
            for at in reversed(named):  # of a run that was resumed, the later attempt
                first, last = index.first_step[at], index.last_step[at]
                resumed = first > last and (step >= first or step <= last)
                found = self._step_line(at, step) if first <= step <= last or resumed else None
                if found is not None and (not resumed or self.line(found).step == step):
                    return found
                if below is None and first <= step:
                    below = at
            if below is not None:
                return self._step_line(below, step)
            return self._first_step_line(named[0]) if named else None

    def _step_line(self, number: int, step: int) -> int | None:
        named = [line for line in self.block(number).lines if line.step is not None and line.step <= step]
        return max(named, key=lambda line: (line.step, line.number)).number if named else None

    def _first_step_line(self, number: int) -> int | None:
        return next((line.number for line in self.block(number).lines if line.step is not None), None)

    def step_of_line(self, number: int) -> int | None:
        """The step that a line names, or else the nearest line above it, or below it; None if no line names one."""
        with self.lock:
            index = self.index
            if not len(index):
                return None
            at = index.block_of_line(min(number, self.total - 1))
            named = [line for line in self.block(at).lines if line.step is not None]
            above = [line.step for line in named if line.number <= number]
            if above:
                return above[-1]
            before = next((index.last_step[one] for one in range(at - 1, -1, -1) if index.last_step[one] >= 0), None)
            if before is not None:
                return before
            return next((index.first_step[one] for one in range(at, len(index)) if index.first_step[one] >= 0), None)

    def next_error(self, number: int, by: int) -> int | None:
        """The next line below ``number`` that begins an error, or above it for ``by`` -1; None if there is none."""
        with self.lock:
            index, at = self.index, self.index.block_of_line(number)
            while 0 <= at < len(index):
                if index.errors[at]:
                    lines = self.block(at).lines
                    for line in lines if by > 0 else reversed(lines):
                        if (line.number - number) * by > 0 and line.level == "error" and not line.continued:
                            return line.number
                at += by
            return None


def _last_end(content: bytes) -> int:
    """Where the last complete line of ``content`` ends; 0 if there is none. Carriage returns may go on as a newline."""
    complete = content.rstrip(b"\r")
    return max(complete.rfind(b"\n"), complete.rfind(b"\r")) + 1


def _fewer_lines(content: bytes) -> bytes:
    """The beginning of ``content``, of at most ``_PIECE_LINES`` lines or so."""
    while content.count(b"\n") + content.count(b"\r") > _PIECE_LINES:
        if not (end := _last_end(content[: len(content) // 2])):
            return content
        content = content[:end]
    return content
