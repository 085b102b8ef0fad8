"""Items as a table of texts, for whoever exports them."""

from __future__ import annotations

from console.plain_table import PlainTable
from console.results.items.items import ItemTable
from console.results.statistics.estimates import Integers

_COLUMNS = ("kind", "item", "lemma", "pos", "tier", "item_class", "reason")
_TEXTS = ("query", "answer", "chosen")


def plain_items(table: ItemTable, rows: Integers) -> PlainTable:
    """``rows`` of ``table``: what each item is, seeds right and mean margin by condition, failures, its texts."""
    names = table.conditions
    by_condition = [title for name in names for title in (f"{name} right", f"{name} seeds", f"{name} margin")]
    header = (*_COLUMNS, *by_condition, "failed", "runs", "margin", *_TEXTS)
    return PlainTable(header, tuple(_row(table, int(row)) for row in rows))


def _row(table: ItemTable, row: int) -> tuple[str, ...]:
    item = table.frame.row(row, named=True)
    outcomes: list[str] = []
    for at in range(len(table.conditions)):
        seeds = int(table.seeds[row, at])
        right, margin = (str(table.right[row, at]), f"{table.margins[row, at]:.4f}") if seeds else ("", "")
        outcomes += [right, str(seeds) if seeds else "", margin]
    counts = (str(item["failed"]), str(item["runs"]), f"{item['margin']:.4f}")
    return (*_texts(item, _COLUMNS), *outcomes, *counts, *_texts(item, _TEXTS))


def _texts(item: dict[str, object], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(item[name] or "") for name in names)
