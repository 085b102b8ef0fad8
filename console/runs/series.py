"""Append-only columns of numbers, and series of points (x, y) that are two of them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from threading import Lock

_extending = Lock()


class ColumnStorage:
    """Growing columns, shared by the versions of one table; compared by identity."""

    __slots__ = ("__weakref__", "columns")

    def __init__(self, columns: tuple[array[float], ...]) -> None:
        self.columns = columns


class Columns:
    """Immutable table of equally long columns that can be extended at the cost of the new rows alone.

    Successive versions share one storage, the bytes of a row and a sixteenth more for growth; each reads only its own first
    ``len`` rows. Extending a version that is not the newest copies its rows first, so no version ever changes. Any thread
    may read and extend.

    Args:
        columns: at least one; the type code of each array stays that of its column.

    Raises:
        ValueError: the columns differ in length.
    """

    __slots__ = ("_length", "storage")

    def __init__(self, *columns: array[float]) -> None:
        self.storage = ColumnStorage(columns)
        self._length = len(columns[0])
        if any(len(column) != self._length for column in columns):
            raise ValueError(f"columns differ in length: {', '.join(str(len(column)) for column in columns)}")

    def extended(self, *columns: array[float]) -> Columns:
        """This table and, behind its rows, those of ``columns``, which have the same types."""
        added = len(columns[0])
        if not added or not self._length:
            return Columns(*columns) if added else self
        longer = Columns.__new__(Columns)
        with _extending:  # else two threads that extend one version would both find it the newest
            newest = len(self.storage.columns[-1]) == self._length  # the last one is extended last
            storage = self.storage if newest else ColumnStorage(self.rows())
            for column, more in zip(storage.columns, columns, strict=True):
                column.extend(more)
        longer.storage = storage
        longer._length = self._length + added
        return longer

    def first(self, rows: int) -> Columns:
        """The table of the first ``rows`` rows; it shares the storage, which is copied where it is extended."""
        if rows >= self._length:
            return self
        shorter = Columns.__new__(Columns)
        shorter.storage, shorter._length = self.storage, rows
        return shorter

    def column(self, at: int, start: int = 0) -> array[float]:
        """A copy of column ``at`` from row ``start`` on."""
        return self.storage.columns[at][start : self._length]

    def last(self, at: int) -> float:
        """The last value of column ``at``; IndexError if there is none."""
        return self.storage.columns[at][self._length - 1]

    def value(self, at: int, row: int) -> float:
        """One value of column ``at``."""
        return self.storage.columns[at][row]

    def rows_up_to(self, at: int, value: float) -> int:
        """How many rows have no more than ``value`` in column ``at``, which rises."""
        return bisect_right(self.storage.columns[at], value, 0, self._length)

    def rows(self) -> tuple[array[float], ...]:
        """Copies of all columns."""
        return tuple(column[: self._length] for column in self.storage.columns)

    def __len__(self) -> int:
        return self._length

    def __eq__(self, other: object) -> bool:
        """Same rows bit by bit; versions of one storage are compared by their length only."""
        if not isinstance(other, Columns) or self._length != other._length:
            return False
        if self.storage is other.storage or not self._length:
            return True
        return all(one.tobytes() == two.tobytes() for one, two in zip(self.rows(), other.rows(), strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Columns of {self._length} rows"


class Series:
    """Immutable sequence of points (x, y): two columns of a table, so that series of one run can share their x.

    Args:
        x_scale: factor of every x, such as epochs a step.

    Raises:
        ValueError: ``xs`` and ``ys`` differ in length.
    """

    __slots__ = ("columns", "x", "x_scale", "y")

    def __init__(self, xs: Iterable[float] = (), ys: Iterable[float] = ()) -> None:
        one, two = array("d", xs), array("d", ys)
        if len(one) != len(two):
            raise ValueError(f"{len(one)} x for {len(two)} y")
        self.columns, self.x, self.y, self.x_scale = Columns(one, two), 0, 1, 1.0

    @classmethod
    def of(cls, columns: Columns, x: int, y: int, x_scale: float = 1.0) -> Series:
        """Column ``y`` of ``columns`` over column ``x`` times ``x_scale``."""
        series = cls.__new__(cls)
        series.columns, series.x, series.y, series.x_scale = columns, x, y, x_scale
        return series

    def extended(self, xs: array[float], ys: array[float]) -> Series:
        """This series and, behind its points, those of ``xs`` and ``ys``; only of a series that is a whole table."""
        return Series.of(self.columns.extended(xs, ys), self.x, self.y, self.x_scale)

    def points(self, start: int = 0) -> tuple[array[float], array[float]]:
        """Copies of the x and of the y from index ``start`` on."""
        xs = self.columns.column(self.x, start)
        if self.x_scale != 1.0:
            xs = array("d", [x * self.x_scale for x in xs])
        return xs, self.columns.column(self.y, start)

    def y_at(self, x: float) -> float | None:
        """The y of the last point that is not behind ``x``, where x rises; None before the first one."""
        rows = self.columns.rows_up_to(self.x, x / self.x_scale * (1 + 1e-12))
        return self.columns.value(self.y, rows - 1) if rows else None

    @property
    def last_y(self) -> float:
        """The y of the last point; IndexError if there is none."""
        return self.columns.last(self.y)

    @property
    def last_x(self) -> float:
        """The x of the last point; IndexError if there is none."""
        return self.columns.last(self.x) * self.x_scale

    @property
    def key(self) -> tuple[int, int, int, float, int]:
        """Equal for series of the same points, as long as the table exists."""
        return (id(self.columns.storage), self.x, self.y, self.x_scale, len(self))

    def __len__(self) -> int:
        return len(self.columns)

    def __eq__(self, other: object) -> bool:
        """Same points bit by bit; versions of one storage are compared by their length only."""
        if not isinstance(other, Series) or len(self) != len(other):
            return False
        if self.key == other.key:
            return True
        return all(one.tobytes() == two.tobytes() for one, two in zip(self.points(), other.points(), strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Series of {len(self)} points"
