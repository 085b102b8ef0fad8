"""Raster of lines, bands and marks in cells of a terminal: braille dots, quadrants, or letters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from console.glyphs import GlyphName

Floats = npt.NDArray[np.float64]
_DOTS: dict[GlyphName, tuple[int, int]] = {"braille": (2, 4), "blocks": (2, 2), "ascii": (1, 1)}
_BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # bit of a dot by its row and column
_QUADRANT = np.array([[1, 2], [4, 8]])
_QUADRANTS = np.array([ord(sign) for sign in " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"])
_SHADE = {"braille": "░", "blocks": "░", "ascii": ":"}
_BLANK = 32
NO_STYLE = -1


class Raster:
    """Cells of ``columns`` x ``rows``; what is drawn later lies on top. x and y are in [0, 1], y upward.

    A style is a number of the caller's, kept for each cell.
    """

    def __init__(self, columns: int, rows: int, glyphs: GlyphName) -> None:
        self.columns, self.rows = columns, rows
        self._glyphs = glyphs
        self._dots_x, self._dots_y = _DOTS[glyphs]
        self._dots = np.zeros((rows * self._dots_y, columns * self._dots_x), bool)
        self._signs = np.full((rows, columns), _BLANK)  # code points that are not dots
        self._under = np.zeros((rows, columns), bool)  # signs that dots hide
        self._styles = np.full((rows, columns), NO_STYLE)

    def line(self, xs: Floats, ys: Floats, style: int, *, dash: tuple[int, int] = (1, 0), letter: str = "*") -> None:
        """Draw a line through the points, ``dash`` dots drawn and left out along x."""
        if not len(xs):
            return
        px, py = self._dot_positions(xs, ys)
        steps = np.maximum(1, np.maximum(np.abs(np.diff(px)), np.abs(np.diff(py))))
        segment = np.repeat(np.arange(len(steps)), steps)
        share = (np.arange(len(segment)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[segment]
        dot_x = np.append(px[segment] + np.rint(share * np.diff(px)[segment]), px[-1]).astype(np.intp)
        dot_y = np.append(py[segment] + np.rint(share * np.diff(py)[segment]), py[-1]).astype(np.intp)
        drawn, left_out = dash
        inside = (dot_x >= 0) & (dot_x < self._dots.shape[1]) & (dot_y >= 0) & (dot_y < self._dots.shape[0])
        if left_out:
            inside &= dot_x % (drawn + left_out) < drawn
        dot_x, dot_y = dot_x[inside], dot_y[inside]
        cell_x, cell_y = dot_x // self._dots_x, dot_y // self._dots_y
        if self._glyphs == "ascii":
            self._signs[cell_y, cell_x] = ord(letter)
        else:
            self._dots[dot_y, dot_x] = True
        self._under[cell_y, cell_x] = self._glyphs != "ascii"
        self._styles[cell_y, cell_x] = style

    def band(self, xs: Floats, lows: Floats, highs: Floats, style: int) -> None:
        """Shade the cells between two curves; dots of lines hide the shade."""
        if not len(xs):
            return
        column = np.clip(np.rint(xs * (self.columns - 1)), -1, self.columns).astype(np.intp)
        low, high = np.full(self.columns, np.nan), np.full(self.columns, np.nan)
        inside = (column >= 0) & (column < self.columns)
        np.fmin.at(low, column[inside], lows[inside])
        np.fmax.at(high, column[inside], highs[inside])
        known = np.flatnonzero(~np.isnan(low))
        if not len(known):
            return
        span = np.arange(known[0], known[-1] + 1)
        low, high = np.interp(span, known, low[known]), np.interp(span, known, high[known])
        height = (np.arange(self.rows - 1, -1, -1) + 0.5)[:, None] / self.rows  # of a row's middle
        half = 0.5 / self.rows
        rows, columns = np.nonzero((height + half > low) & (height - half < high) & (high > low))
        columns = columns + span[0]
        free = self._signs[rows, columns] == _BLANK
        rows, columns = rows[free], columns[free]
        self._signs[rows, columns] = ord(_SHADE[self._glyphs])
        self._under[rows, columns] = True
        self._styles[rows, columns] = style

    def level(self, y: float, style: int, sign: str) -> None:
        """Draw a dashed horizontal line at ``y``; dots of lines hide it."""
        row = self.row_of(y)
        if 0 <= row < self.rows:
            gap = 2 if self._glyphs == "ascii" else 1
            self._signs[row, ::gap] = ord(sign)
            self._under[row, ::gap] = True
            self._styles[row, ::gap] = style

    def vertical(self, x: float, style: int, sign: str) -> None:
        """Draw a vertical line at ``x``; dots of lines hide it."""
        column = self._column_of(x)
        if 0 <= column < self.columns:
            self._signs[:, column] = ord(sign)
            self._under[:, column] = True
            dots = self._cell_dots()[:, :, column, :].reshape(self.rows, -1)
            self._styles[~dots.any(axis=1), column] = style

    def sign(self, x: float, row: int, sign: str, style: int) -> None:
        """Put one character at ``x`` in ``row``, over everything drawn so far."""
        column = self._column_of(x)
        if 0 <= column < self.columns:
            self._signs[row, column], self._under[row, column] = ord(sign), False
            self._styles[row, column] = style

    def text(self, column: int, row: int, text: str, style: int) -> None:
        """Write ``text`` from ``column`` on, over everything drawn so far; cut at the right edge."""
        text = text[: self.columns - column]
        # without the dots that a blank would let through
        self._cell_dots()[row, :, column : column + len(text)] = False
        for at, letter in enumerate(text):
            self._signs[row, column + at], self._under[row, column + at] = ord(letter), False
            self._styles[row, column + at] = style

    def row_of(self, y: float) -> int:
        """The row of ``y``, from the top."""
        return round((1 - y) * (self.rows * self._dots_y - 1)) // self._dots_y if -1 <= y <= 2 else -1

    def cells(self) -> tuple[list[str], npt.NDArray[np.intp]]:
        """The rows as text, and the style of each cell."""
        codes = self._signs
        if self._glyphs != "ascii":
            weights = _BRAILLE if self._glyphs == "braille" else _QUADRANT
            bits = (self._cell_dots() * weights[None, :, None, :]).sum(axis=(1, 3))
            dots = 0x2800 + bits if self._glyphs == "braille" else _QUADRANTS[bits]
            codes = np.where((bits > 0) & (self._under | (codes == _BLANK)), dots, codes)
        return ["".join(map(chr, row)) for row in codes.tolist()], self._styles

    def _column_of(self, x: float) -> int:
        """The column of ``x``; outside the raster for an x outside of [0, 1]."""
        return round(x * (self.columns - 1)) if -1 <= x <= 2 else -1

    def _cell_dots(self) -> npt.NDArray[np.bool_]:
        return self._dots.reshape(self.rows, self._dots_y, self.columns, self._dots_x)

    def _dot_positions(self, xs: Floats, ys: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        width, height = self.columns * self._dots_x - 1, self.rows * self._dots_y - 1
        px = np.clip(np.rint(xs * width), -2 * width - 2, 3 * width + 2)  # what is far outside may not cost dots
        py = np.clip(np.rint((1 - ys) * height), -2 * height - 2, 3 * height + 2)
        return px.astype(np.intp), py.astype(np.intp)


def spread_rows(wanted: Sequence[int], rows: int) -> list[int]:
    """Rows near the ``wanted`` ones, each its own, in the same order from top to bottom; there are enough ``rows``."""
    order = sorted(range(len(wanted)), key=lambda at: wanted[at])
    placed = [0] * len(wanted)
    below = 0
    for at in order:
        placed[at] = below = max(below, wanted[at])
        below += 1
    above = rows - 1
    for at in reversed(order):
        placed[at] = min(placed[at], above)
        above = placed[at] - 1
    return placed
