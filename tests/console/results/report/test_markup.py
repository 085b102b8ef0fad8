"""Sections as Markdown: what is indented on the screen is no block of code there."""

from __future__ import annotations

from console.results.report.markup import as_markdown
from console.results.tables import Section, text_cell


def test_indented_lines_are_items_of_a_list() -> None:
    rows = ((text_cell("NEXT  4. A step"),), (text_cell("        its reason <b>"),), (text_cell("! a warning"),))
    assert as_markdown([Section("", rows)]) == "NEXT  4. A step\n\n- its reason &lt;b&gt;\n\n! a warning"
