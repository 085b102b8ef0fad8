"""Reads and writes ``items.parquet`` and ``attention.parquet``; their columns are in ``engine.contract.items``."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import polars as pl

from engine.contract.durable import write_durably
from engine.contract.items import AttentionRow, ItemRow, column_types

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
