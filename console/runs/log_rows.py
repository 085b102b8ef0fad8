"""Rows in which a log is shown: every line, progress folded, or the lines that a search accepts."""

from __future__ import annotations

from typing import Protocol

from console.runs.log_store import LogStore


class LogRows(Protocol):
    """Rows of a log, each with the line that is shown in it."""

    @property
    def count(self) -> int:
        """Number of rows now."""

    def line(self, row: int, /) -> int:
        """Number of the line that ``row`` shows."""

    def row(self, line: int, /) -> int:
        """Row of ``line``, or the one above it where it has none."""


class AllRows:
    """A row for each line, the one that is being written included."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    @property
    def count(self) -> int:
        """Number of rows: of complete lines, and of one that is begun."""
        return self._store.total + bool(self._store.partial)

    def line(self, row: int) -> int:
        """The same number."""
        return row

    def row(self, line: int) -> int:
        """The same number."""
        return max(0, min(line, self.count - 1))


class FoldedRows:
    """A row for each line, but one for all states of a progress: it shows the last."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    @property
    def count(self) -> int:
        """Rows of complete lines, and one for a line that is begun, unless it overwrites the last."""
        return self._store.rows + (bool(self._store.partial) and not self._store.overwriting)

    def line(self, row: int) -> int:
        """The last line of the row."""
        store = self._store
        if row >= store.rows or (row == store.rows - 1 and store.overwriting and store.partial):
            return store.total
        return store.row_lines(row)[1]

    def row(self, line: int) -> int:
        """The row that shows the line, or the state of the progress that came after it."""
        return self.count - 1 if line >= self._store.total else self._store.row_of_line(line)

    def folded(self, row: int) -> int:
        """Lines that the row does not show."""
        store = self._store
        if row >= store.rows:
            return 0
        first, last = store.row_lines(row)
        return last - first + (row == store.rows - 1 and store.overwriting and bool(store.partial))
