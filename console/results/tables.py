"""Tables of typed cells, and their layout in lines; every output draws these, so that all of them show the same figures."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

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
        return _merged(chars)

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
    """A cell of one text."""
    return (Text(text, role),)


def header_row(*names: str) -> Row:
    """Muted names of columns."""
    return tuple(text_cell(name, "muted") for name in names)


def cell_text(cell: Cell) -> str:
    """The cell as text, a bar in its least width."""
    return "".join(part.text for part in cell)


def section_lines(section: Section, width: int = LINE_WIDTH, ascii_only: bool = False) -> list[Line]:
    """The section in lines of at most ``width`` columns, title first.

    All cells of a row but its last are padded or cut to the width of their column; the last is wrapped.
    """
    fitting = _fitting(_in_ascii(section) if ascii_only else section, width)
    lines = _wrapped(text_cell(fitting.title, "title"), 0, 0, width) if fitting.title else []
    rows = (fitting.header, *fitting.rows) if fitting.header else fitting.rows
    widths, gap = _column_widths(rows, len(fitting.header), width)
    for row in rows:
        cells = [_drawn(cell, widths[at] if at < len(widths) else 0, ascii_only) for at, cell in enumerate(row)]
        cut = "~" if ascii_only else "…"
        padded = [
            part for cell, column in zip(cells[:-1], widths, strict=False) for part in _fit(cell, column, gap, cut)
        ]
        first, *rest = _wrapped(cells[-1], _width(tuple(padded)), _hanging(padded, cells[-1]), width)
        lines += [[*padded, *first], *rest]
    return lines + (_wrapped(text_cell(fitting.legend, "muted"), 0, 2, width) if fitting.legend else [])


def page_lines(sections: Sequence[Section], width: int = LINE_WIDTH, ascii_only: bool = False) -> list[Line]:
    """The sections in lines, an empty line between two."""
    return [line for section in sections for line in (*section_lines(section, width, ascii_only), [])][:-1]


def _fitting(section: Section, width: int) -> Section:
    """The section without the optional columns for which ``width`` does not suffice."""
    kept = list(range(len(section.header)))
    for column in sorted(section.optional, reverse=True):
        cells = [row for row in (section.header, *section.rows) if len(row) == len(section.header)]
        needed = sum(max(_least_width(row[at], OPTIONAL_BAR_WIDTH) for row in cells) for at in kept)
        needed += 2 * (len(kept) - 1)
        if needed <= width:
            break
        kept.remove(column)
    if len(kept) == len(section.header):
        return section
    rows = [
        tuple(row[at] for at in kept) if len(row) == len(section.header) else row
        for row in (section.header, *section.rows)
    ]
    return replace(section, header=rows[0], rows=tuple(rows[1:]), optional=())


def _column_widths(rows: Sequence[Row], columns: int, width: int) -> tuple[list[int], int]:
    """Width of each column and the gap between two; bars share what the others leave."""
    limit = 18 if width < 100 else 24 if width < 160 else 40
    aligned = [row if len(row) == columns else row[:-1] for row in rows]
    cells = [[row[at] for row in aligned if len(row) > at] for at in range(columns)]
    bars = [any(isinstance(part, Bar) for cell in column for part in cell) for column in cells]
    widths = [
        max(map(_least_width, column)) if is_bar else max(map(_width, column))
        for column, is_bar in zip(cells, bars, strict=True)
    ]
    if sum(widths) + columns - 1 > width:
        widths = [
            one if is_bar else max(min(limit, one), *map(_uncut, column))
            for one, is_bar, column in zip(widths, bars, cells, strict=True)
        ]
    gap = 2 if sum(widths) + 2 * (columns - 1) <= width else 1
    if any(bars):
        spare = max(0, width - sum(widths) - gap * (columns - 1)) // sum(bars)
        widths = [min(MAX_BAR_WIDTH, one + spare) if is_bar else one for one, is_bar in zip(widths, bars, strict=True)]
    return widths, gap


def _drawn(cell: Cell, width: int, ascii_only: bool) -> Cell:
    """The cell with bars and axes drawn to ``width``, in ASCII if asked for."""
    parts: list[Part] = []
    for part in cell:
        if isinstance(part, Bar):
            parts += part.drawn(width or MIN_BAR_WIDTH, ascii_only)
        elif isinstance(part, Axis):
            parts.append(Text(part.drawn(width or MIN_BAR_WIDTH), part.role))
        else:
            parts.append(part)
    return tuple(parts)


_ASCII = str.maketrans(
    {
        "±": "+-",
        "–": "-",
        "−": "-",
        "≥": ">=",
        "≤": "<=",
        "…": "...",
        "·": ".",
        "Δ": "difference",
        "▸": ">",
        "—": "-",
        "×": "x",
        **dict(zip(BLOCKS, "_.-:=+*#", strict=True)),
    }
)


def as_ascii(text: str) -> str:
    """``text`` with signs that a terminal may lack written in ASCII; letters of other scripts stay."""
    return text.translate(_ASCII)


def _in_ascii(section: Section) -> Section:
    rows = [
        tuple(
            tuple(part if isinstance(part, Bar | Axis) else Text(as_ascii(part.text), part.role) for part in cell)
            for cell in row
        )
        for row in (section.header, *section.rows)
    ]
    return replace(
        section, title=as_ascii(section.title), legend=as_ascii(section.legend), header=rows[0], rows=tuple(rows[1:])
    )


def _merged(chars: Sequence[tuple[str, Role]]) -> tuple[Text, ...]:
    """Neighbours of one role as one text."""
    parts: list[Text] = []
    for char, role in chars:
        if parts and parts[-1].role == role:
            parts[-1] = Text(parts[-1].text + char, role)
        else:
            parts.append(Text(char, role))
    return tuple(parts)


def _hanging(before: Sequence[Part], cell: Cell) -> int:
    """Indentation of a wrapped cell's further lines: its own beginning, or little where that is far to the right."""
    start, text = _width(tuple(before)), cell_text(cell)
    indent = start + len(text) - len(text.lstrip())
    return (indent + 2 if not start else indent) if indent <= 30 else 4


def _wrapped(cell: Cell, start: int, indent: int, width: int) -> list[Line]:
    """The lines of a cell that begins at column ``start``; further lines begin at ``indent``."""
    if start + _width(cell) <= width:
        return [list(cell)]
    lines: list[list[tuple[str, Role]]] = [[]]
    room = width - start
    for word, role in _words(cell, width - indent):
        blank = not word.strip()
        if _text_width(word) > room and not blank and any(text.strip() for text, _ in lines[-1]):
            lines.append([(" " * indent, "plain")])
            room = width - indent
        if blank and (room < 1 or (len(lines) > 1 and len(lines[-1]) == 1)):
            continue  # the space at which the line is broken
        lines[-1].append((word, role))
        room -= _text_width(word)
    return [list(_merged(line)) for line in lines]


def _words(cell: Cell, longest: int) -> list[tuple[str, Role]]:
    """Words of at most ``longest`` characters and the spaces between them, with the role of their part."""
    words: list[tuple[str, Role]] = []
    for part in cell:
        if isinstance(part, Text):
            pieces = part.text.split(" ")
            words += [piece for word in pieces for piece in ((word, part.role), (" ", part.role))][:-1]
        else:
            words.append((part.text, part.role))
    return [(word[at : at + longest], role) for word, role in words for at in range(0, len(word), longest)]


def _fit(cell: Cell, width: int, gap: int, cut: str) -> Cell:
    if _width(cell) > width:
        text = cell_text(cell)
        while _text_width(text) >= width:
            text = text[:-1]
        cell = text_cell(text + cut, cell[0].role)
    return *cell, Text(" " * (width + gap - _width(cell)))


def _uncut(cell: Cell) -> int:
    """The width below which a figure of the cell would be cut."""
    return _width(cell) if any(isinstance(part, Number | Range) for part in cell) and len(cell) <= 3 else 0


def _least_width(cell: Cell, bar: int = MIN_BAR_WIDTH) -> int:
    return sum(bar if isinstance(part, Bar | Axis) else _text_width(part.text) for part in cell)


def _width(cell: Cell) -> int:
    return _text_width(cell_text(cell))


@lru_cache(maxsize=4096)
def _text_width(text: str) -> int:
    """In terminal columns: a tier may have a name in any script."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)
