"""Tables of typed cells; every output draws these, so that all of them show the same figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from console.format import duration, percent

Role = Literal["plain", "title", "name", "muted", "pass", "fail", "warning"]
Unit = Literal["percent", "points", "threshold", "cosine", "gain", "count", "p", "decimal", "signed", "seconds"]

LINE_WIDTH = 76  # 80 columns less the pane's padding and scrollbar
BLOCKS = "▁▂▃▄▅▆▇█"
MIN_BAR_WIDTH, MAX_BAR_WIDTH = 17, 81
OPTIONAL_BAR_WIDTH = 31
"""Bars are at least so wide before an optional column takes more of the line."""


class Text(Struct, frozen=True):
    """Words in a cell; ``role`` is what a screen chooses their style by."""

    text: str
    role: Role = "plain"


class Number(Struct, frozen=True):
    """A value in a cell, rounded only when shown.

    Attributes:
        value: a fraction of 1 with the units ``percent``, ``points`` and ``threshold``; None is shown as a dash.
        sd: sample standard deviation over seeds, where ``value`` is a mean of several.
        n: how many items, runs or pairs it is of; not shown, but written with the number to CSV.
    """

    value: float | None
    unit: Unit = "percent"
    sd: float | None = None
    role: Role = "plain"
    n: int | None = None

    @property
    def text(self) -> str:
        """``51.2 ± 4.1``."""
        text = number_text(self.value, self.unit)
        return text if self.sd is None else f"{text} ± {number_text(self.sd, self.unit).removeprefix('+')}"


class Range(Struct, frozen=True):
    """A value with the two ends of its interval, each None where it cannot be told; units as of ``Number``.

    Attributes:
        shows_mean: ``43.2 [41.4, 45.3]``; else ``41.4 – 45.3``, for a table that has the mean in a cell of its own.
        has_short_ends: ``43.2 [41, 45]``, of a percent, for narrow columns; what is written out has all digits.
        n: how many items, runs or pairs it is of; not shown, but written with the number to CSV.
    """

    low: float | None
    mean: float | None
    high: float | None
    unit: Unit = "percent"
    shows_mean: bool = True
    role: Role = "plain"
    n: int | None = None
    has_short_ends: bool = False

    @property
    def text(self) -> str:
        if self.has_short_ends and self.low is not None and self.high is not None:
            return f"{number_text(self.mean, self.unit)} [{100 * self.low:.0f}, {100 * self.high:.0f}]"
        low, mean, high = (number_text(value, self.unit) for value in (self.low, self.mean, self.high))
        is_known = self.low is not None and self.high is not None
        if not self.shows_mean:
            return f"{low} – {high}" if is_known else "-"
        return f"{mean} [{low}, {high}]" if is_known else mean


class Mark(Struct, frozen=True):
    """One value on an axis, drawn as ``char``: ``|`` threshold, ``c`` chance, ``m`` mean pooling, ``^`` ceiling."""

    char: str
    value: float | None


class Bar(Struct, frozen=True):
    """An interval drawn on an axis from ``start`` to ``end``, as ``..c..|.├─●─┤..``; the numbers stand in other cells."""

    low: float | None
    mean: float | None
    high: float | None
    start: float = 0.0
    end: float = 1.0
    marks: tuple[Mark, ...] = ()
    role: Role = "plain"

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.drawn(MIN_BAR_WIDTH))

    def drawn(self, width: int, ascii_only: bool = False) -> tuple[Text, ...]:
        """In ``width`` columns. What lies outside the axis is drawn at its end as ``<`` or ``>``."""
        line, left, right, point = ("-", "[", "]", "o") if ascii_only else ("─", "├", "┤", "●")
        chars: list[tuple[str, Role]] = [(".", "muted")] * width
        if self.low is not None and self.high is not None:
            low, high = self._column(self.low, width), self._column(self.high, width)
            chars[low : high + 1] = [(line, self.role)] * (high + 1 - low)
            chars[low] = ("<" if self.low < self.start else left, self.role)
            chars[high] = (">" if self.high > self.end else right, self.role)
        for mark in self.marks:
            if mark.value is not None and math.isfinite(mark.value):
                chars[self._column(mark.value, width)] = (mark.char, "name")
        if self.mean is not None and math.isfinite(self.mean):
            outside = "<" if self.mean < self.start else ">" if self.mean > self.end else point
            chars[self._column(self.mean, width)] = (outside, self.role)
        return merged_texts(chars)

    def _column(self, value: float, width: int) -> int:
        share = (value - self.start) / (self.end - self.start)
        return round(max(0.0, min(1.0, share)) * (width - 1))


class Axis(Struct, frozen=True):
    """The scale above a column of bars: ``ticks`` from ``start`` to ``end``, fractions of 1 shown in percent or points."""

    ticks: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    start: float = 0.0
    end: float = 1.0
    unit: Literal["threshold", "points"] = "threshold"
    role: Role = "muted"

    @property
    def text(self) -> str:
        return self.drawn(MIN_BAR_WIDTH).rstrip()

    def drawn(self, width: int) -> str:
        """In ``width`` columns, each tick's label around its place; labels that would touch another are left out."""
        line = [" "] * width
        for tick in self.ticks:
            label = f"{100 * tick:+g}" if self.unit == "points" and tick else f"{100 * tick:g}"
            at = round((tick - self.start) / (self.end - self.start) * (width - 1)) - len(label) // 2
            at = max(0, min(width - len(label), at))
            if not "".join(line[max(0, at - 1) : at + len(label) + 1]).strip():
                line[at : at + len(label)] = label
        return "".join(line)


def _p_text(value: float) -> str:
    return (
        "<.001"
        if value < 0.001
        else "1.00"
        if value > 0.995
        else f"{value:.3f}"[1:]
        if value < 0.1
        else f"{value:.2f}"[1:]
    )


_FORMATS: dict[Unit, Callable[[Any], str]] = {
    "percent": percent,
    "points": lambda value: f"{100 * value:+.1f}",
    "threshold": lambda value: f"{100 * value:g}",
    "cosine": lambda value: f"{value:.3f}",
    "gain": lambda value: f"{value:+.3f}",
    "count": lambda value: f"{value:,.0f}",
    "p": _p_text,
    "decimal": lambda value: f"{value:.2f}",
    "signed": lambda value: f"{value:+.2f}",
    "seconds": duration,
}
Part = Text | Number | Range | Bar | Axis
Cell = tuple[Part, ...]
Row = tuple[Cell, ...]
Line = list[Part]


def sparkline(values: Sequence[float], low: float, high: float) -> str:
    """One block for each value, the lowest at ``low`` or below, the full one at ``high`` or above; a space for NaN."""
    span = high - low or 1.0
    return "".join(
        BLOCKS[round(max(0.0, min(1.0, (value - low) / span)) * (len(BLOCKS) - 1))] if math.isfinite(value) else " "
        for value in values
    )


def number_text(value: float | None, unit: Unit) -> str:
    """``value`` rounded as its unit is shown: one digit of a percent, three of a cosine; a dash for none."""
    if value is None or not math.isfinite(value):
        return "-"
    text = _FORMATS[unit](value)
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


class Section(Struct, frozen=True):
    """A table. In a row with fewer cells than ``header``, the last cell extends over the columns that remain.

    Attributes:
        key: its name in CSV and in links, such as ``gates``.
        optional: columns (from 0) left out where the width does not suffice, the last of them first; what they say must
            stand elsewhere too.
        legend: what the signs of its bars mean, for outputs that draw them.
    """

    title: str
    rows: tuple[Row, ...]
    header: Row = ()
    key: str = ""
    optional: tuple[int, ...] = ()
    legend: str = ""


SIDE_BY_SIDE = 3
"""Conditions in one table, so that it fits 80 columns."""
Item = TypeVar("Item")


def side_by_side(values: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """``values``, one a condition, in the parts that stand beside each other in one table."""
    return (values[start : start + SIDE_BY_SIDE] for start in range(0, len(values), SIDE_BY_SIDE))


def with_unique_keys(sections: Sequence[Section]) -> tuple[Section, ...]:
    """The sections, the second of one key called ``key-2`` and so on."""
    seen: Counter[str] = Counter()
    named = []
    for section in sections:
        seen[section.key] += 1
        times = seen[section.key]
        named.append(section if times == 1 else replace(section, key=f"{section.key}-{times}"))
    return tuple(named)


def text_cell(text: str, role: Role = "plain") -> Cell:
    """A cell that holds one text, shown in the style of ``role``."""
    return (Text(text, role),)


def header_row(*names: str) -> Row:
    """Muted names of columns."""
    return tuple(text_cell(name, "muted") for name in names)


def cell_text(cell: Cell) -> str:
    """The cell as text, a bar in its least width."""
    return "".join(part.text for part in cell)


def merged_texts(chars: Sequence[tuple[str, Role]]) -> tuple[Text, ...]:
    """Neighbours of one role as one text."""
    parts: list[Text] = []
    for char, role in chars:
        if parts and parts[-1].role == role:
            parts[-1] = Text(parts[-1].text + char, role)
        else:
            parts.append(Text(char, role))
    return tuple(parts)
