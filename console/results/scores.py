"""One run's numbers, worked out of its items with polars."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl

from console.results.summary import ScoreLine
from console.sanitize import sanitize_line
from engine.contract.items import ItemRow, column_types
from engine.contract.metrics import Margins, TierScore

Model = Literal["head", "mean_pool"]
RANK = {"head": "rank", "mean_pool": "mean_pool_rank"}
MARGIN = {"head": "margin", "mean_pool": "mean_pool_margin"}
_COSINES = (-2.001, 2.001)  # a difference of two cosine similarities, and its rounding
_RANGES = {**dict.fromkeys(RANK.values(), (1, 2**31)), **dict.fromkeys(MARGIN.values(), _COSINES)}
_TYPES: dict[str, pl.DataType] = {name: getattr(pl, kind)() for name, kind in column_types(ItemRow).items()}


def read_items(path: Path) -> pl.DataFrame:
    """The items of a run: the columns of ``ItemRow`` in their order, every value there and possible.

    Raises:
        FileNotFoundError: there are none.
        ValueError: a column is missing or of another type, a value is missing or impossible, or there is no retrieval
            or no coherence item.
        polars.exceptions.PolarsError: not Parquet.
    """
    try:
        items = pl.read_parquet(path)
    except pl.exceptions.PanicException as error:  # no Exception: polars gives up on some damaged files
        raise ValueError(f"{path.name} is damaged: {error}") from error
    if missing := set(_TYPES) - set(items.columns):
        raise ValueError(f"{path.name} lacks the columns {', '.join(sorted(missing))}")
    items = items.select(*_TYPES)
    for name, wanted in _TYPES.items():
        column = items[name]
        if column.dtype != wanted:
            raise ValueError(f"{path.name}: {name} is {column.dtype}, not {wanted}")
        if column.null_count():
            raise ValueError(f"{path.name}: {name} lacks a value")
    for name, (low, high) in _RANGES.items():
        if not items[name].is_between(low, high).all():  # false of NaN too
            raise ValueError(f"{path.name}: a {name} is not from {low} to {high}")
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
        top1=numbers["top1"],
        top3=numbers["top3"],
        coherence=coherence,
        margins=Margins(numbers["mean"], numbers["p5"], numbers["p95"]),
        tiers={sanitize_line(row["tier"]): TierScore(row["items"], row["top1"]) for row in tiers.iter_rows(named=True)},
    )
