"""Tables of texts as CSV and Markdown, whatever the texts are."""

from __future__ import annotations

import csv
import io

import pytest

from console.plain_table import PlainTable, table_csv, table_markdown

ODD = 'a "quoted", one\nof two lines | <b>'


def test_csv_is_read_back_as_it_was() -> None:
    table = PlainTable(("run", "text"), (("A/42", ODD), ("B/42", "")))
    assert list(csv.reader(io.StringIO(table_csv(table)))) == [["run", "text"], ["A/42", ODD], ["B/42", ""]]


@pytest.mark.parametrize(
    ("text", "written"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("-0.25", "-0.25"), ("+3.1", "+3.1"), ("-", "-"), ("-x", "'-x"), ("+1%", "+1%")],
)
def test_no_text_is_a_formula_and_numbers_stay_numbers(text: str, written: str) -> None:
    assert table_csv(PlainTable(("x",), ((text,),))) == f"x\n{written}\n"


def test_markdown_is_one_line_a_row_and_shows_texts_as_they_are() -> None:
    lines = table_markdown(PlainTable(("run", "text"), (("A/42", ODD),))).splitlines()
    assert lines[0].startswith("| run  | text") and set(lines[1]) <= set("| -")
    assert lines[2].startswith(r'| A/42 | a "quoted", one of two lines \| &lt;b&gt; |') and len(lines) == 3
