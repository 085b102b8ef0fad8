"""Mean over seeds with its spread, where seeds overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from console.charts.chart import Spread

Floats = npt.NDArray[np.float64]


class Band(Struct, frozen=True):
    """Mean, lower and upper edge of its band at each of ``xs``, all (X,), over ``counts`` seeds there."""

    xs: Floats
    means: Floats
    lows: Floats
    highs: Floats
    counts: npt.NDArray[np.intp]


def band_of(curves: Sequence[tuple[Floats, Floats]], spread: Spread, *, interpolate: bool = False) -> Band:
    """The mean of ``curves`` at each x that at least two of them have, or at each x of the only one that has any.

    Args:
        curves: x and y of each seed, by rising x, finite; of an x that comes twice the last counts.
        spread: the band is one standard deviation (of a sample, n - 1) to each side, or from the lowest to the highest.
        interpolate: a curve has every x between its first and last one, for seeds that are not measured at the same x.
    """
    curves = [(xs, ys) for xs, ys in curves if len(xs)]
    if not curves:
        empty = np.empty(0)
        return Band(empty, empty, empty, empty, np.empty(0, np.intp))
    grid = np.unique(np.concatenate([xs for xs, _ in curves]))
    values = np.full((len(curves), len(grid)), np.nan)
    for row, (xs, ys) in zip(values, curves, strict=True):
        if interpolate:
            row[:] = np.interp(grid, xs, ys, left=np.nan, right=np.nan)
        else:
            row[np.searchsorted(grid, xs)] = ys
    counts = np.count_nonzero(~np.isnan(values), axis=0)
    shared = counts >= min(2, len(curves))
    grid, values, counts = grid[shared], values[:, shared], counts[shared]
    means = np.nanmean(values, axis=0) if len(grid) else grid
    if spread == "range":
        lows, highs = (np.nanmin(values, axis=0), np.nanmax(values, axis=0)) if len(grid) else (grid, grid)
    else:
        squares = np.nansum((values - means) ** 2, axis=0)
        deviation = np.sqrt(squares / np.maximum(1, counts - 1))
        lows, highs = means - deviation, means + deviation
    return Band(grid, means, lows, highs, counts)
