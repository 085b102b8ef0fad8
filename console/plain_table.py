"""A table of plain texts, and its outputs as CSV and Markdown."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from msgspec import Struct


class PlainTable(Struct, frozen=True):
    """Rows of texts under a header; every row has as many."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def table_csv(table: PlainTable) -> str:
    """CSV with a header; a text that a spreadsheet would take for a formula has an apostrophe before it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.header)
    writer.writerows([formula_free(text) for text in row] for row in table.rows)
    return stream.getvalue()


def table_markdown(table: PlainTable) -> str:
    """A table of GitHub's Markdown, its columns aligned for whoever reads the text itself."""
    rows = [[markdown_text(" ".join(text.split())) for text in row] for row in (table.header, *table.rows)]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "".join(f"| {' | '.join(_padded(row, widths))} |\n" for row in rows)


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [text.ljust(width) for text, width in zip(row, widths, strict=True)]


def markdown_text(text: str) -> str:
    """``text`` with Markdown's markup characters escaped."""
    escaped = re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def formula_free(text: str) -> str:
    """``text`` with an apostrophe before it where a spreadsheet would take it for a formula; numbers stay numbers."""
    is_number = text[:1] in "+-" and text[1:].replace(".", "", 1).replace(",", "").rstrip("%").isdigit()
    return f"'{text}" if text[:1] in "=+-@\t\r" and text not in ("", "-") and not is_number else text
