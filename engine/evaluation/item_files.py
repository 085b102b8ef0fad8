"""Reads and writes ``items.parquet`` and ``attention.parquet``; their columns are in ``engine.contract.items``."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from engine.contract.durable import write_durably
from engine.contract.items import AttentionRow, ItemRow, column_types


def write_items(path: Path, rows: Sequence[ItemRow]) -> None:
    _write(path, rows, ItemRow)


def write_attention(path: Path, rows: Sequence[AttentionRow]) -> None:
    _write(path, rows, AttentionRow)


def read_attention(path: Path) -> list[AttentionRow]:
    """The rows in ``path``; none when it is missing or unreadable."""
    try:
        return [AttentionRow(*row) for row in pl.read_parquet(path, columns=list(AttentionRow._fields)).iter_rows()]
    except (OSError, pl.exceptions.PolarsError):
        return []


def _write(path: Path, rows: Sequence[Any], shape: type[ItemRow] | type[AttentionRow]) -> None:
    """Write ``rows`` durably as Parquet with the columns of ``shape``."""
    schema = {name: getattr(pl, kind)() for name, kind in column_types(shape).items()}
    buffer = BytesIO()
    pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row").write_parquet(buffer)
    write_durably(path, buffer.getvalue())
