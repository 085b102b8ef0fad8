"""Layout of sections in lines of a given width: what view 4 and the text report show."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from console.results.tables import (
    BLOCKS,
    LINE_WIDTH,
    MAX_BAR_WIDTH,
    MIN_BAR_WIDTH,
    OPTIONAL_BAR_WIDTH,
    Axis,
    Bar,
    Cell,
    Line,
    Number,
    Part,
    Range,
    Role,
    Row,
    Section,
    Text,
    cell_text,
    merged_texts,
    text_cell,
)


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
    return [list(merged_texts(line)) for line in lines]


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
