"""Which items are shown and in which order: filters by text, facet, condition and change; sorting by any column."""

from __future__ import annotations

import numpy as np
import polars as pl
from msgspec import Struct

from console.results.items.items import Basis, Change, ItemTable, changed
from console.results.statistics.estimates import Floats, Integers


class ItemFilter(Struct, frozen=True):
    """Which items are shown; an empty field shows all.

    Attributes:
        text: each of its words is in lemma, reason or query, none of those after ``!``; case is ignored.
        wrong_in: a condition that does not rank the item right by majority; ``*`` is any single run.
        change: with ``ours`` and ``theirs``, as for ``changed``.
    """

    text: str = ""
    kind: str = ""
    lemma: str = ""
    tier: str = ""
    reason: str = ""
    pos: str = ""
    item_class: str = ""
    wrong_in: str = ""
    change: Change | None = None
    ours: str = ""
    theirs: str = ""
    basis: Basis = "majority"


FACETS = ("kind", "tier", "reason", "pos", "item_class")
ANY_RUN = "*"


def select(table: ItemTable, which: ItemFilter) -> Integers:
    """The rows of ``table`` that pass, in its order: (n,)."""
    passes = np.ones(len(table.frame), np.bool_)
    equal = {name: getattr(which, name) for name in ("lemma", *FACETS)}
    conditions = [pl.col(name) == value for name, value in equal.items() if value]
    for word in which.text.lower().split():
        if word != "!":
            has = pl.col("search").str.contains(word.removeprefix("!"), literal=True)
            conditions.append(~has if word.startswith("!") else has)
    if conditions:
        passes &= table.frame.select(pl.all_horizontal(conditions)).to_series().to_numpy()
    if which.wrong_in == ANY_RUN:
        passes &= table.frame["failed"].to_numpy() > 0
    elif which.wrong_in:
        at = table.condition(which.wrong_in)
        passes &= (2 * table.right[:, at] <= table.seeds[:, at]) & (table.seeds[:, at] > 0)
    if which.change:
        passes &= changed(table, which.ours, which.theirs, which.change, which.basis)
    return np.flatnonzero(passes)


def facet_values(table: ItemTable, name: str) -> tuple[str, ...]:
    """The different values of a facet, most items first, without the empty one."""
    counts = table.frame[name].value_counts(sort=True).filter(pl.col(name) != "")
    return tuple(counts.sort(pl.col("count"), pl.col(name), descending=[True, False])[name])


DIFFERENCE = "difference"
_BY_TEXT = ("lemma", "tier", "query", "chosen", "reason", "pos", "item_class", "kind", "item")


def sort_rows(
    table: ItemTable,
    rows: Integers,
    column: str | int,
    *,
    descending: bool = False,
    pair: tuple[str, str] | None = None,
) -> Integers:
    """``rows`` ordered by ``column``; equal ones keep their order, what has no value comes last.

    Args:
        column: ``failed`` (share of runs), ``margin``, one of the texts, ``difference`` (the first of ``pair`` minus the
            second in mean margin), or the number of a condition: its share of right seeds, then its margin.
    """
    values = _values(table, column, pair)[rows]
    keys = -values if descending else values
    missing = np.isnan(keys)
    order = np.lexsort((np.where(missing, 0.0, keys), missing))
    return rows[order]


def _values(table: ItemTable, column: str | int, pair: tuple[str, str] | None) -> Floats:
    if isinstance(column, int):
        with np.errstate(invalid="ignore"):  # 0 of 0 seeds is NaN, which is no value
            share = table.right[:, column] / table.seeds[:, column]
        # a margin is within 2, so that it only orders what has an equal share of up to a few hundred seeds
        scores: Floats = share + table.margins[:, column] / 1000
        return scores
    if column in _BY_TEXT:
        texts = table.frame[column]
        ranks = texts.set(texts == "", None).rank("dense")  # coherence items have no tier, most items no reason
        return _floats(ranks)
    if column == "failed":
        return _floats(table.frame["failed"] / table.frame["runs"])
    if column == "margin":
        return _floats(table.frame["margin"])
    if column == DIFFERENCE and pair is not None:
        ours, theirs = (table.margins[:, table.condition(name)] for name in pair)
        return np.asarray(ours - theirs)
    raise ValueError(f"no column {column}")


def _floats(column: pl.Series) -> Floats:
    """``column`` as an array, NaN where it is null."""
    values: Floats = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return values
