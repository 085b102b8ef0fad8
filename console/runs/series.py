"""Append-only series of points, and the bounded reduction of a series that a chart is drawn from."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from threading import Lock

LIMIT = 1e100  # sums and squares of larger numbers overflow, so they count as infinite
MAX_BUCKETS = 1024  # even, so that a full list merges in pairs
_extending = Lock()


class PointStorage:
    """Growing columns of x and y, shared by the versions of one series; compared by identity."""

    __slots__ = ("__weakref__", "xs", "ys")

    def __init__(self, xs: array[float], ys: array[float]) -> None:
        self.xs = xs
        self.ys = ys


class Series:
    """Immutable sequence of points (x, y) that can be extended at the cost of the new points alone.

    Successive versions share one storage, 16 bytes a point and a sixteenth more for growth; each reads only its own first
    ``len`` points. Extending a version that is not the newest copies its points first, so no version ever changes. Any
    thread may read and extend.

    Raises:
        ValueError: ``xs`` and ``ys`` differ in length.
    """

    __slots__ = ("_length", "storage")

    def __init__(self, xs: Iterable[float] = (), ys: Iterable[float] = ()) -> None:
        self.storage = PointStorage(array("d", xs), array("d", ys))
        self._length = len(self.storage.xs)
        if len(self.storage.ys) != self._length:
            raise ValueError(f"{self._length} x for {len(self.storage.ys)} y")

    def extended(self, xs: array[float], ys: array[float]) -> Series:
        """This series and, behind its points, those of ``xs`` and ``ys``, which have the same length."""
        longer = Series(xs, ys)
        if not self or not longer:
            return longer or self
        with _extending:  # else two threads that extend one version would both find it the newest
            newest = len(self.storage.xs) == len(self.storage.ys) == self._length
            storage = self.storage if newest else PointStorage(*self.points())
            storage.xs.extend(xs)
            storage.ys.extend(ys)
        longer.storage = storage
        longer._length += self._length
        return longer

    def points(self, start: int = 0) -> tuple[array[float], array[float]]:
        """Copies of the x and of the y from index ``start`` on."""
        return self.storage.xs[start : self._length], self.storage.ys[start : self._length]

    @property
    def last_y(self) -> float:
        """The y of the last point; IndexError if there is none."""
        return self.storage.ys[self._length - 1]

    def __len__(self) -> int:
        return self._length

    def __eq__(self, other: object) -> bool:
        """Same points bit by bit; versions of one storage are compared by their length only."""
        if not isinstance(other, Series) or self._length != other._length:
            return False
        if self.storage is other.storage:
            return True
        return all(one.tobytes() == two.tobytes() for one, two in zip(self.points(), other.points(), strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Series of {self._length} points"


class SeriesReduction:
    """Lowest and highest point of each bucket of a series, kept up to date by its new points only.

    Buckets are cut by index and all hold the same power of two of points, so while a series grows its old buckets keep
    their points and merge in pairs when there would be more than ``MAX_BUCKETS``: a drawn curve does not jump. A point
    whose y cannot be drawn is dropped and its x kept as a mark. The result does not depend on how the points were
    batched. Memory is bounded; an update costs the points that are new.

    Args:
        smoothing: weight in [0, 1) of an exponential moving average with bias correction over the finite values (Kingma
            and Ba 2015, section 3); 0 for none.
        log_scale: y is replaced by its base-10 logarithm; what is not positive becomes a mark.
    """

    def __init__(self, *, smoothing: float = 0.0, log_scale: bool = False) -> None:
        self.read = 0
        self._smoothing = smoothing
        self._log_scale = log_scale
        self._average = self._scale = 0.0
        self._count = 0
        self._size = 1
        self._lows: list[tuple[float, int, float]] = []  # (y, index, x), so that min and max compare y first
        self._highs: list[tuple[float, int, float]] = []
        self._marks: list[float] = []
        self._marked = 0
        self._mark_stride = 1

    def update(self, series: Series) -> None:
        """Read the points of ``series`` behind the first ``read`` ones."""
        xs, ys = series.points(self.read)
        self.read = len(series)
        smoothing, log_scale = self._smoothing, self._log_scale
        for x, y in zip(xs, ys, strict=True):
            if not abs(x) <= LIMIT:  # false for NaN too
                continue
            if not abs(y) <= LIMIT:
                self._mark(x)
                continue
            value = y
            if smoothing:
                self._average = smoothing * self._average + (1 - smoothing) * y
                self._scale = smoothing * self._scale + (1 - smoothing)
                value = self._average / self._scale
            if log_scale:
                if value <= 0:
                    self._mark(x)
                    continue
                value = math.log10(value)
            self._add((value, self._count, x))

    def _add(self, point: tuple[float, int, float]) -> None:
        lows, highs = self._lows, self._highs
        if self._count % self._size:
            if point < lows[-1]:
                lows[-1] = point
            elif point > highs[-1]:
                highs[-1] = point
        else:
            if len(lows) == MAX_BUCKETS:
                self._size *= 2
                lows[:] = map(min, lows[::2], lows[1::2])
                highs[:] = map(max, highs[::2], highs[1::2])
            lows.append(point)
            highs.append(point)
        self._count += 1

    def _mark(self, x: float) -> None:
        if self._marked % self._mark_stride == 0:
            self._marks.append(x)
            if len(self._marks) > MAX_BUCKETS:
                del self._marks[1::2]
                self._mark_stride *= 2
        self._marked += 1

    def points(self, width: int) -> tuple[list[float], list[float]]:
        """At most ``2 * width`` points to draw, x and y, in the order of the series.

        The lowest and the highest of at most ``width`` buckets; all points where there are no more.

        Raises:
            ValueError: ``width`` is not positive.
        """
        if width < 1:
            raise ValueError("a curve needs a width of at least 1")
        group = 1
        if self._count > 2 * width:
            while self._size * group * width < self._count:
                group *= 2
        kept = set[tuple[int, float, float]]()
        for start in range(0, len(self._lows), group):
            for y, index, x in (min(self._lows[start : start + group]), max(self._highs[start : start + group])):
                kept.add((index, x, y))
        ordered = sorted(kept)
        return [x for _, x, _ in ordered], [y for _, _, y in ordered]

    def marks(self, width: int) -> list[float]:
        """The x of points that cannot be drawn, at most ``width`` of them, evenly thinned by a power of two."""
        stride = 1
        while len(self._marks) > stride * width:
            stride *= 2
        return self._marks[::stride]
