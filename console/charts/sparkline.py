"""Sparkline: a curve of a few cells within a line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from console.glyphs import ASCII, BLOCKS, GlyphName

_BARS, _ASCII = BLOCKS.levels, ASCII.levels
_LEFT = (0x40, 0x04, 0x02, 0x01)  # dots of a braille cell from the bottom up
_RIGHT = (0x80, 0x20, 0x10, 0x08)


def sparkline(values: Sequence[float], width: int, glyphs: GlyphName) -> str:
    """The course of ``values`` in at most ``width`` cells, from their lowest to their highest.

    Each cell shows the mean of its share of the values, two shares a cell in braille. A share without a finite value is
    an exclamation mark (a space in braille, where it is half a cell).
    """
    if width < 1 or not values:
        return ""
    per_cell = 2 if glyphs == "braille" else 1
    columns = min(width * per_cell, len(values))
    means = [_mean(values[at * len(values) // columns : (at + 1) * len(values) // columns]) for at in range(columns)]
    finite = [value for value in means if value is not None]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    levels = {"braille": 4, "blocks": len(_BARS), "ascii": len(_ASCII)}[glyphs]

    def level(value: float | None) -> int | None:
        if value is None:
            return None
        return min(levels - 1, int((value - low) / (high - low) * levels)) if high > low else (levels - 1) // 2

    heights = [level(value) for value in means]
    if glyphs == "braille":
        return "".join(_braille(heights[at : at + 2]) for at in range(0, columns, 2))
    signs = _BARS if glyphs == "blocks" else _ASCII
    return "".join("!" if height is None else signs[height] for height in heights)


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value) and abs(value) < 1e100]
    return sum(finite) / len(finite) if finite else None


def _braille(heights: Sequence[int | None]) -> str:
    dots = [side[height] for side, height in zip((_LEFT, _RIGHT), heights, strict=False) if height is not None]
    return chr(0x2800 + sum(dots)) if dots else " "
