"""Evaluation items that runs got wrong, counted over runs. Reads no file."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from console.results.load import LoadedRuns
from console.results.records import FailedItem
from console.sanitize import sanitize_line
from engine.contract.settings import RunId

MAX_ITEMS = 500
_TEXTS = ("evaluation", "kind", "item_id", "lemma", "tier", "reason", "query", "answer", "chosen")


def failed_items(loaded: LoadedRuns, runs: Iterable[RunId], limit: int = MAX_ITEMS) -> tuple[FailedItem, ...]:
    """Items that at least one of ``runs`` did not rank first: most failures first, then the most negative margin.

    Items of different evaluations are counted apart, even with the same id.
    """
    keys = pl.DataFrame(
        [(run.condition, run.seed) for run in runs],
        schema={"condition": pl.String, "seed": pl.Int64},
        orient="row",
    )
    is_wrong = pl.col("rank") > 1
    items = (
        loaded.items.join(keys, on=["condition", "seed"], how="semi", maintain_order="left")
        .group_by("evaluation", "kind", "item_id")
        .agg(
            pl.col("lemma", "tier", "query", "answer").first(),
            is_wrong.sum().alias("failed"),
            pl.len().alias("runs"),
            pl.col("margin").mean(),
            _most_frequent("reason", pl.col("reason") != ""),
            _most_frequent("chosen", is_wrong),
        )
        .filter(pl.col("failed") > 0)
        .sort("failed", "margin", "kind", "item_id", "evaluation", descending=[True, False, False, False, False])
        .head(limit)
    )
    return tuple(
        FailedItem(**row | {name: sanitize_line(row[name]) for name in _TEXTS}) for row in items.iter_rows(named=True)
    )


def _most_frequent(column: str, where: pl.Expr) -> pl.Expr:
    """The most frequent value of ``column`` where ``where`` holds, the first by the alphabet of several; "" of none."""
    return pl.col(column).filter(where).mode().sort().first().fill_null("").alias(column)
