"""One run's numbers, worked out of its items with polars."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import polars as pl

from console.results.summary import ScoreLine
from engine.contract.items import ItemRow
from engine.contract.metrics import Margins, TierScore

Model = Literal["head", "mean_pool"]
RANK = {"head": "rank", "mean_pool": "mean_pool_rank"}
MARGIN = {"head": "margin", "mean_pool": "mean_pool_margin"}


def read_items(path: Path) -> pl.DataFrame:
    """The items of a run.

    Raises:
        FileNotFoundError: there are none.
        ValueError: a column is missing, or there is no retrieval or no coherence item.
        polars.exceptions.PolarsError: not Parquet.
    """
    items = pl.read_parquet(path)
    if missing := set(ItemRow._fields) - set(items.columns):
        raise ValueError(f"{path.name} lacks the columns {', '.join(sorted(missing))}")
    for kind in ("retrieval", "coherence"):
        if items.filter(pl.col("kind") == kind).is_empty():
            raise ValueError(f"{path.name} has no {kind} item")
    return items


def score_line(items: pl.DataFrame, model: Model) -> ScoreLine:
    """Top-1, top-3, coherence, margins and tiers of ``model`` on ``items``, as fractions of 1."""
    rank, margin = pl.col(RANK[model]), pl.col(MARGIN[model])
    retrieval = items.filter(pl.col("kind") == "retrieval")
    numbers = retrieval.select(
        top1=(rank == 1).mean(),
        top3=(rank <= 3).mean(),
        mean=margin.mean(),
        p5=margin.quantile(0.05, "linear"),
        p95=margin.quantile(0.95, "linear"),
    ).row(0, named=True)
    coherence = items.filter(pl.col("kind") == "coherence").select((rank == 1).mean()).item()
    tiers = retrieval.group_by("tier").agg(pl.len().alias("items"), (rank == 1).mean().alias("top1")).sort("tier")
    return ScoreLine(
        top1=_number(numbers["top1"]),
        top3=_number(numbers["top3"]),
        coherence=_number(coherence),
        margins=Margins(_number(numbers["mean"]), _number(numbers["p5"]), _number(numbers["p95"])),
        tiers={row["tier"]: TierScore(row["items"], _number(row["top1"])) for row in tiers.iter_rows(named=True)},
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
