"""Reads and writes ``items.parquet`` and ``attention.parquet``; their columns are in ``engine.contract.items``."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeVar

import polars as pl

from engine.contract.bad_input import BadInput
from engine.contract.durable import write_durably
from engine.contract.items import AttentionRow, ItemRow, column_types
from engine.data.records import Killer

Row = TypeVar("Row", ItemRow, AttentionRow)


def write_rows(path: Path, rows: Sequence[Row], row_type: type[Row]) -> None:
    """Write ``rows`` durably as Parquet; the columns are those of ``row_type``, even if there is no row."""
    schema = {
        name: pl.List(getattr(pl, kind.name)()) if kind.is_list else getattr(pl, kind.name)()
        for name, kind in column_types(row_type).items()
    }
    buffer = BytesIO()
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(buffer)
    write_durably(path, buffer.getvalue())


def read_attention(path: Path) -> list[AttentionRow]:
    """The rows in ``path``; none when it is missing or unreadable."""
    try:
        return [AttentionRow(*row) for row in pl.read_parquet(path, columns=list(AttentionRow._fields)).iter_rows()]
    except (OSError, pl.exceptions.PolarsError):
        return []


class RunKillers(NamedTuple):
    """The retrieval items that a run's model fails badly, each with its lemma, and the number of all retrieval items."""

    killers: list[tuple[Killer, str]]
    items: int


def read_killers(path: Path) -> RunKillers:
    """The killers of a run, from its ``items.parquet``.

    Raises:
        BadInput: it is missing, or is not a run's items.
    """
    try:
        rows = pl.read_parquet(path).filter(pl.col("kind") == "retrieval")
        failed = rows.filter(pl.col("reason") != "")
        columns = failed.select("item_id", "reason", "margin", "rank", "chosen_sense", "lemma")
    except FileNotFoundError:
        raise BadInput("no such file: this run has not been evaluated", file=path) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise BadInput(f"not the items of a run: {error}", file=path) from error
    return RunKillers(
        [
            (Killer(item, reason, margin, 1 - margin, rank, sense), lemma)
            for item, reason, margin, rank, sense, lemma in columns.iter_rows()
        ],
        len(rows),
    )
