"""What one condition fixed and broke against another, counted item by item; its table and its sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from console.format import counted
from console.results.items.items import ItemTable, changed
from console.results.tables import Number, Row, Section, Text, header_row, text_cell

_TITLE = "What one condition fixed and broke against another, item by item"


class ItemChanges(Struct, frozen=True):
    """How many items of one kind ``ours`` fixed and broke against ``theirs``.

    Attributes:
        items: those that both were evaluated on.
        fixed, broken: by majority of seeds: right of ours and wrong of theirs, or the reverse.
        fixed_by_margin, broken_by_margin: by the sign of the mean margin over seeds.
    """

    ours: str
    theirs: str
    kind: str
    items: int
    fixed: int
    broken: int
    fixed_by_margin: int
    broken_by_margin: int


def item_changes(table: ItemTable, pairs: Iterable[tuple[str, str]] | None = None) -> tuple[ItemChanges, ...]:
    """Count the changes of each pair of conditions, by default the table's; without common items there are none."""
    return tuple(
        one for ours, theirs in (table.pairs if pairs is None else pairs) for one in _changes(table, ours, theirs)
    )


def _changes(table: ItemTable, ours: str, theirs: str) -> Iterator[ItemChanges]:
    is_shared = (table.seeds[:, table.condition(ours)] > 0) & (table.seeds[:, table.condition(theirs)] > 0)
    kinds = table.frame["kind"].to_numpy()
    for kind in ("retrieval", "coherence"):
        is_kind = is_shared & (kinds == kind)
        if is_kind.any():
            counts = (
                int((is_kind & changed(table, ours, theirs, change, basis)).sum())
                for basis in ("majority", "margin")
                for change in ("fixed", "broken")
            )
            yield ItemChanges(ours, theirs, kind, int(is_kind.sum()), *counts)


def change_text(changes: ItemChanges) -> str:
    """``B fixed 33 of 663 retrieval items that A failed and broke 39 (by mean margin 30 and 37)``."""
    items = counted(changes.items, f"{changes.kind} item" if changes.kind == "retrieval" else "coherence step")
    return (
        f"{changes.ours} fixed {changes.fixed:,} of {items} that {changes.theirs} failed and broke {changes.broken:,}"
        f" (by mean margin {changes.fixed_by_margin:,} and {changes.broken_by_margin:,})"
    )


def items_sections(changes: Sequence[ItemChanges]) -> tuple[Section, ...]:
    """A table with a row for each pair of conditions and kind of item; nothing without any."""
    if not changes:
        return ()
    header = header_row("", "", "items", "fixed", "broken", "by margin: fixed", "broken")
    return (Section(_TITLE, tuple(map(_row, changes)), header, "item-changes"),)


def _row(one: ItemChanges) -> Row:
    counts = (one.fixed, one.broken, one.fixed_by_margin, one.broken_by_margin)
    numbers = tuple((Number(count, "count", n=one.items),) for count in counts)
    name = (Text(f"{one.ours} over {one.theirs}", "name"),)
    return (name, text_cell(one.kind), (Number(one.items, "count"),), *numbers)
