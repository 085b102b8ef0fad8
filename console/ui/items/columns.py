"""Columns of the table of items: which ones a width holds."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from console.glyphs import BRAILLE, Glyphs
from console.results.items.filter import DIFFERENCE

SortColumn = str | int
_MAX_NAME = 5  # columns of a condition's name


class Column(NamedTuple):
    """One column: what it is sorted by (a condition by its number), its title and its width."""

    key: SortColumn
    title: str
    width: int
    is_number: bool = False


@lru_cache(maxsize=8)
def columns(
    conditions: tuple[str, ...],
    width: int,
    pair: tuple[str, str] | None = None,
    first: int = 0,
    glyphs: Glyphs = BRAILLE,
) -> tuple[Column, ...]:
    """The columns that ``width`` holds: always lemma, tier, conditions, failed, margin and query; more where there is room.

    Args:
        pair: conditions that are compared; they come first, and their difference in margin after all conditions.
        first: number of the other conditions that are left out on the left.
    """
    names = [*(pair or ()), *[name for name in conditions if name not in (pair or ())][first:]]
    room = max(8, width * 3 // 10 - (9 if pair else 0))
    shown: list[Column] = []
    for name in names:
        column = Column(
            conditions.index(name), _cut(name, glyphs), max(1, min(_MAX_NAME, cell_len(name))), is_number=False
        )
        room -= column.width + 1
        if room < 0:
            break
        shown.append(column)
    left = [Column("lemma", "lemma", 10 if width < 100 else 14), Column("tier", "tier", 10 if width < 100 else 17)]
    middle = [Column("failed", "failed", 7, is_number=True), Column("margin", "margin", 7, is_number=True)]
    if pair:
        title = f"{pair[0]}-{pair[1]}"
        middle.append(Column(DIFFERENCE, title if cell_len(title) < 8 else "change", 8, is_number=True))
    right = []
    if width >= 150:
        right += [Column("reason", "reason", 23), Column("pos", "pos", 4)]
    if width >= 190:
        right.append(Column("item_class", "class", 19))
    fixed = [*left, *shown, *middle, *right]
    rest = width - 2 - sum(column.width + 1 for column in fixed)
    if width < 110:
        return *left, *shown, *middle, Column("query", "query", max(8, rest)), *right
    query = max(8, rest * 3 // 5)
    texts = Column("query", "query", query), Column("chosen", "chosen by failed runs", max(8, rest - query - 1))
    return *left, *shown, *middle, *texts, *right


def _cut(name: str, glyphs: Glyphs) -> str:
    return name if cell_len(name) <= _MAX_NAME else set_cell_size(name, _MAX_NAME - 1) + glyphs.cut
