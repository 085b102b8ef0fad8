"""The evaluation items that runs got wrong, over all runs at home."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from console.results.capsule import Missing, Unusable, read_capsule
from console.results.summary import FailedItem
from console.sanitize import sanitize_line
from engine.contract.run_folder import RunFolder
from engine.contract.settings import RunId

LIMIT = 500


def failed_items(folder: Path, runs: Iterable[RunId], limit: int = LIMIT) -> tuple[FailedItem, ...]:
    """Items that at least one of ``runs`` failed at rank 1, those failed by most and by the widest margin first.

    An item of one evaluation is never counted together with one of another, whatever its id.
    """
    tables = []
    for run in runs:
        try:
            _, metrics, items, _, _ = read_capsule(RunFolder(folder / str(run)))
        except (Missing, Unusable):
            continue  # no results of this run: the results view says why
        tables.append(items.with_columns(evaluation=pl.lit(metrics.eval_fingerprint)))
    if not tables:
        return ()
    wrong = pl.col("rank") > 1
    items = (
        pl.concat(tables)
        .group_by("evaluation", "kind", "item_id")
        .agg(
            pl.col("lemma", "tier", "query", "answer").first(),
            wrong.sum().alias("failed"),
            pl.len().alias("runs"),
            pl.col("margin").mean(),
            pl.col("reason").filter(pl.col("reason") != "").mode().sort().first().fill_null("").alias("reason"),
            pl.col("chosen").filter(wrong).mode().sort().first().fill_null("").alias("chosen"),
        )
        .filter(pl.col("failed") > 0)
        .sort("failed", "margin", "kind", "item_id", "evaluation", descending=[True, False, False, False, False])
        .head(limit)
    )
    texts = ("evaluation", "kind", "item_id", "lemma", "tier", "reason", "query", "answer", "chosen")
    return tuple(
        FailedItem(
            failed=row["failed"],
            runs=row["runs"],
            margin=row["margin"],
            **{name: sanitize_line(row[name]) for name in texts},
        )
        for row in items.iter_rows(named=True)
    )
