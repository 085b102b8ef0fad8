"""The lines above the table of items: how many are shown, what was fixed and broken, the facets."""

from __future__ import annotations

from itertools import product

from msgspec.structs import replace
from textual.content import Content

from console.glyphs import Glyphs
from console.results.items.filter import ANY_RUN, FACETS, ItemFilter, facet_values, select
from console.results.items.items import Basis, Change, ItemTable
from console.ui.actions import key_of
from console.ui.items.filter_dialog import Facet
from console.ui.items.item_text import flow, legend

CHANGES: tuple[Change, ...] = ("fixed", "broken")
_BASES: tuple[Basis, ...] = ("majority", "margin")
_LABELS = {"kind": "kind", "tier": "tier", "reason": "reason", "pos": "pos", "item_class": "class"}
_LONG_LABELS = {"pos": "part of speech", "reason": "reason code", "item_class": "class of item"}
_KEY, _CHOSEN, _MUTED = "bold $text-accent", "bold reverse", "$foreground-muted"


def total_content(table: ItemTable, which: ItemFilter, shown: int, glyphs: Glyphs, width: int) -> Content:
    """``showing 33 of 2,948 items``, the text filtered by, and what the signs mean where ``width`` has room."""
    total = Content.assemble("showing ", (f"{shown:,} of {len(table.frame):,}", "bold"), " items")
    if which.text:
        total += Content.assemble("  filter ", (which.text, "bold $text-accent"))
    signs = Content.styled(legend(glyphs), _MUTED)
    room = width - total.cell_length - signs.cell_length
    return total + " " * room + signs if room >= 2 else total


def changes_content(table: ItemTable, which: ItemFilter, pair: tuple[str, str] | None) -> Content:
    """``d fixed by B over A 33  broken 39  by majority (by margin 30, 37)``, of the items that pass the other filters."""
    if pair is None:
        return Content.styled("With a second condition: what it fixed and broke against the first", _MUTED)
    ours, theirs = pair
    counts: dict[tuple[Change, Basis], int] = {}
    for change, basis in product(CHANGES, _BASES):
        counts[change, basis] = len(select(table, replace(which, change=change, basis=basis, ours=ours, theirs=theirs)))
    parts = [Content.assemble((f"{key_of('cycle_change')} ", _KEY))]
    for change in CHANGES:
        is_on = which.change == change
        count = f"{counts[change, which.basis]:,}"
        text = f"fixed by {ours} over {theirs} {count}" if change == "fixed" else f"broken {count}"
        parts.append(Content.styled(f"[{text}]" if is_on else f" {text} ", _CHOSEN if is_on else ""))
    other: Basis = "margin" if which.basis == "majority" else "majority"
    both = ", ".join(f"{counts[change, other]:,}" for change in CHANGES)
    parts.append(Content(f"  by {which.basis}"))
    parts.append(Content.styled(f" (by {other} {both})", _MUTED))
    return Content("").join(parts)


def facets_content(which: ItemFilter, width: int) -> Content:
    """Each facet with its value after the key that opens all of them, on lines of ``width`` columns."""
    wrong_in = {"": "any", ANY_RUN: "some run"}.get(which.wrong_in, which.wrong_in)
    values = [(_LABELS[name], getattr(which, name) or "any") for name in FACETS]
    values.append(("wrong in", wrong_in))
    parts = [Content.assemble(f"{label} ", (value, _MUTED if value == "any" else _CHOSEN)) for label, value in values]
    parts[0] = Content.assemble((f"{key_of('filters')} ", _KEY), parts[0])
    return Content("\n").join(flow(parts, width, 2))


def filter_facets(table: ItemTable) -> list[Facet]:
    """What the dialog of filters offers: each facet with the values that ``table`` has."""
    facets = []
    for name in FACETS:
        values = ("", *facet_values(table, name))
        facets.append(Facet(name, _LONG_LABELS.get(name, _LABELS[name]), values, ("any", *values[1:])))
    conditions = table.conditions
    texts = ("any", "some run", *(f"{name}, by majority" for name in conditions))
    facets.append(Facet("wrong_in", "wrong in", ("", ANY_RUN, *conditions), texts))
    facets.append(Facet("basis", "fixed and broken", _BASES, ("by majority of seeds", "by mean margin")))
    return facets
