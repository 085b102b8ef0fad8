"""Bounded reduction of a series to the points that a chart is drawn from; the moving average of a curve."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from console.runs.series import Series

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
LIMIT = 1e100  # sums and squares of larger numbers overflow, so they count as infinite
MAX_BUCKETS = 1024
_LOG_LARGEST = 230.0  # of 1e100: times LIMIT it does not overflow


class ExponentialAverage:
    """Exponential moving average with bias correction (Kingma and Ba 2015, section 3), continued chunk by chunk.

    In closed form, block by block: a_j = w^j (a_0 + (1 - w) sum of x_m w^-m over m = 1..j). A block ends before w^-m grows
    too large. Blocks are cut by index, and their sums continued, so the result does not depend on the chunks.

    Args:
        weight: w of the past, in [0, 1); 0 returns the values themselves.
    """

    def __init__(self, weight: float) -> None:
        self._weight = weight
        block = max(1, int(-_LOG_LARGEST / math.log(weight))) if weight else 0
        self._powers: Floats = np.power(np.float64(weight), np.arange(1, block + 1, dtype=np.float64))
        self._begin = 0.0  # a_0 of the present block
        self._sum = 0.0
        self._count = 0

    def update(self, values: Floats) -> Floats:
        """The averages at ``values``, which follow those of the calls before; all finite."""
        if not self._weight or not len(values):
            return values
        averages, start, block = np.empty(len(values)), 0, len(self._powers)
        while start < len(values):
            within = self._count % block
            end = min(len(values), start + block - within)
            powers = self._powers[within : within + end - start]
            terms = np.empty(end - start + 1)
            terms[0] = self._sum
            terms[1:] = (1 - self._weight) * values[start:end] / powers
            sums = np.cumsum(terms)[1:]
            averages[start:end] = powers * (self._begin + sums)
            if self._count < block:  # the correction: later on it is 1 within rounding
                averages[start:end] /= 1 - powers
            self._sum = float(sums[-1])
            self._count += end - start
            if self._count % block == 0:
                self._begin, self._sum = float(averages[end - 1]), 0.0
            start = end
        return averages


def drawable(xs: Floats, ys: Floats, average: ExponentialAverage, *, log_scale: bool) -> tuple[Floats, Floats, Floats]:
    """The x and y of the points that can be drawn, smoothed, as base-10 logarithms if asked for; the x of all others.

    A point whose x cannot be placed is dropped.
    """
    placed = np.abs(xs) <= LIMIT
    xs, ys = xs[placed], ys[placed]
    good = np.abs(ys) <= LIMIT  # false for NaN too
    values = average.update(ys[good])
    if log_scale:
        positive = values > 0
        good[good] = positive
        values = np.log10(values[positive])
    return xs[good], values, xs[~good]


class SeriesReduction:
    """Lowest and highest point of each bucket of a series, kept up to date by its new points only.

    Buckets are cut by index and all hold the same power of two of points, so while a series grows its old buckets keep
    their points and merge in pairs when there would be more than ``MAX_BUCKETS``: a drawn curve does not jump. A point
    whose y cannot be drawn is dropped and its x kept as a mark. The result does not depend on how the points were
    batched. Memory is bounded; an update costs the points that are new.

    Args:
        smoothing: weight in [0, 1) of the moving average; 0 for none.
        log_scale: y is replaced by its base-10 logarithm; what is not positive becomes a mark.
    """

    def __init__(self, *, smoothing: float = 0.0, log_scale: bool = False) -> None:
        self.read = 0
        self.last: float | None = None  # y of the last point that can be drawn; not a logarithm
        self._average = ExponentialAverage(smoothing)
        self._log_scale = log_scale
        self._count = 0
        self._size = 1
        self._lows = np.empty((3, 0))  # rows: y, index, x
        self._highs = np.empty((3, 0))
        self._marks: list[float] = []
        self._marked = 0
        self._mark_stride = 1

    def update(self, series: Series) -> None:
        """Read the points of ``series`` behind the first ``read`` ones."""
        new_xs, new_ys = series.points(self.read)
        self.read = len(series)
        if not new_xs:
            return
        xs, ys, marks = drawable(np.array(new_xs), np.array(new_ys, float), self._average, log_scale=self._log_scale)
        for x in marks.tolist():
            self._mark(x)
        if not len(xs):
            return
        self.last = float(10 ** ys[-1] if self._log_scale else ys[-1])
        points = np.stack([ys, np.arange(self._count, self._count + len(xs), dtype=float), xs])
        self._count += len(xs)
        while self._size * MAX_BUCKETS < self._count:
            self._size *= 2
        self._lows = _lowest(np.concatenate([self._lows, points], axis=1), self._size)
        self._highs = _highest(np.concatenate([self._highs, points], axis=1), self._size)

    def _mark(self, x: float) -> None:
        if self._marked % self._mark_stride == 0:
            self._marks.append(x)
            if len(self._marks) > MAX_BUCKETS:
                del self._marks[1::2]
                self._mark_stride *= 2
        self._marked += 1

    def points(self, width: int) -> tuple[Floats, Floats]:
        """At most ``2 * width`` points to draw, x and y, in the order of the series.

        The lowest and the highest of at most ``width`` buckets; all points where there are no more.

        Raises:
            ValueError: ``width`` is not positive.
        """
        if width < 1:
            raise ValueError("a curve needs a width of at least 1")
        return _extremes(self._lows, self._highs, self._count, width, self._size)

    def marks(self, width: int) -> list[float]:
        """The x of points that cannot be drawn, at most ``width`` of them, evenly thinned by a power of two."""
        stride = 1
        while len(self._marks) > stride * width:
            stride *= 2
        return self._marks[::stride]


def reduced(xs: Floats, ys: Floats, width: int) -> tuple[Floats, Floats]:
    """The lowest and the highest point of each of at most ``width`` buckets, as ``SeriesReduction.points`` has them."""
    points = np.stack([ys, np.arange(len(xs), dtype=float), xs])
    return _extremes(points, points, len(xs), width)


def _extremes(lows: Floats, highs: Floats, count: int, width: int, size: int = 1) -> tuple[Floats, Floats]:
    """x and y, in the order of the series, of the lowest and the highest of ``count`` points in at most ``width`` buckets.

    Args:
        lows, highs: the lowest and the highest point of each bucket of ``size`` points, as rows y, index, x.
    """
    if count > 2 * width:
        while size * width < count:
            size *= 2
    kept = np.concatenate([_lowest(lows, size), _highest(highs, size)], axis=1)
    _, first = np.unique(kept[1], return_index=True)
    return kept[2, first], kept[0, first]


def _lowest(points: Floats, size: int) -> Floats:
    """The lowest of ``points`` (rows y, index, x; by rising index) in each bucket of ``size`` indexes; the first of equals."""
    found, starts, _ = _equal_to_extreme(points, size, np.minimum)
    return points[:, found[np.searchsorted(found, starts)]]


def _highest(points: Floats, size: int) -> Floats:
    """The highest in each bucket; the last of equals."""
    found, _, ends = _equal_to_extreme(points, size, np.maximum)
    return points[:, found[np.searchsorted(found, ends) - 1]]


def _equal_to_extreme(points: Floats, size: int, extreme: np.ufunc) -> tuple[Places, Places, Places]:
    """Places of all points whose y is the extreme one of their bucket; where each bucket starts, and where it ends."""
    bucket = points[1] // size
    starts = np.flatnonzero(np.diff(bucket, prepend=-1.0))
    counts = np.diff(starts, append=len(bucket))
    extremes = np.repeat(extreme.reduceat(points[0], starts), counts)
    return np.flatnonzero(points[0] == extremes), starts, starts + counts
