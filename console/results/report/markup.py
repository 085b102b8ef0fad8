"""The sections as Markdown, LaTeX and CSV; each has every figure of the screen, bars aside, whose numbers stand beside them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from console.plain_table import formula_free, markdown_text
from console.results.tables import BLOCKS, Axis, Bar, Cell, Number, Range, Row, Section, Text, cell_text

CSV_COLUMNS = ("section", "subject", "metric", "value", "low", "high", "sd", "n", "unit")
_FRACTIONS = ("percent", "points", "threshold")  # units that are shown times 100
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "^": r"\textasciicircum{}",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "%": r"\%",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "−": "$-$",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "×": r"$\times$",
    "Δ": r"$\Delta$",
    "–": "--",
    "…": r"\ldots{}",
    "·": r"$\cdot$",
    "→": r"$\rightarrow$",
    **{block: rf"\rule{{.5em}}{{{height / 8:g}em}}" for height, block in enumerate(BLOCKS, start=1)},
}
_PREAMBLE = r"""\documentclass[a4paper,landscape]{article}
\usepackage{iftex}
\ifPDFTeX
  \usepackage[T1]{fontenc}
  \usepackage[utf8]{inputenc}
\else
  \usepackage{fontspec}
\fi
\usepackage[margin=15mm]{geometry}
\usepackage{booktabs,longtable}
\setlength{\parindent}{0pt}
\begin{document}
\small
"""


def as_markdown(sections: Sequence[Section]) -> str:
    """A heading and a table for each section; rows that span a table have their text in its first column."""
    blocks = []
    for section in map(without_bars, sections):
        lines = [f"## {markdown_text(section.title)}", ""] if section.title else []
        if len(section.header) > 1:
            columns = len(section.header)
            lines += [_markdown_row(section.header, columns), "|" + " --- |" * columns]
            lines += [_markdown_row(row, columns) for row in section.rows]
        else:
            lines += [line for row in section.rows for line in (_markdown_line(_row_text(row)), "")][:-1]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def as_latex(sections: Sequence[Section]) -> str:
    """A whole document: a table for each section, for pdflatex, and for xelatex where names are in other scripts."""
    blocks = []
    for section in map(without_bars, sections):
        lines = [rf"\subsection*{{{latex_escaped(section.title)}}}"] if section.title else []
        if len(section.header) > 1:
            columns = len(section.header)
            lines += [rf"\begin{{longtable}}{{{'l' * columns}}}", r"\toprule"]
            lines += [_latex_row(section.header, columns), r"\midrule", r"\endhead"]
            lines += [_latex_row(row, columns) for row in section.rows]
            lines += [r"\bottomrule", r"\end{longtable}"]
        else:
            lines += [line for row in section.rows for line in (latex_escaped(_row_text(row)), "")]
        blocks.append("\n".join(lines))
    return _PREAMBLE + "\n\n".join(blocks) + "\n\\end{document}"


def as_csv(sections: Sequence[Section]) -> str:
    """One row a number: where it stands, its value unrounded (percentages as fractions of 1), its interval, sd and n."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for section in sections:
        for subject, metric, part in _numbers(section):
            low, high = (part.low, part.high) if isinstance(part, Range) else (None, None)
            value, sd = (part.mean, None) if isinstance(part, Range) else (part.value, part.sd)
            unit = "fraction" if part.unit in _FRACTIONS else part.unit
            labels = [formula_free(text) for text in (section.key or section.title, subject, metric)]
            writer.writerow([*labels, *map(_exact, (value, low, high, sd)), "" if part.n is None else part.n, unit])
    return stream.getvalue().rstrip("\n")


def without_bars(section: Section) -> Section:
    """The section without its columns of bars."""
    rows = (section.header, *section.rows)
    drawn = {at for row in rows for at, cell in enumerate(row) if any(isinstance(part, Bar | Axis) for part in cell)}
    if not drawn:
        return section
    kept = [
        tuple(cell for at, cell in enumerate(row) if at not in drawn or len(row) < len(section.header)) for row in rows
    ]
    return Section(section.title, tuple(kept[1:]), kept[0], section.key)


def _numbers(section: Section) -> Iterator[tuple[str, str, Number | Range]]:
    """Every number of a section with the subject of its row and what it is: labels before it and its column's name.

    An indented row is about the one above that is not.
    """
    subject = ""
    for row in section.rows:
        before_numbers = takewhile(lambda cell: not _has_number(cell), row)
        labels = [cell_text(cell) for cell in before_numbers if not any(isinstance(part, Bar) for part in cell)]
        own = subject
        if labels and labels[0].strip():
            name = " ".join(labels[0].split())
            own = f"{subject} {name}" if labels[0].startswith(" ") else name
            subject = subject if labels[0].startswith(" ") else name
        before = [label.strip() for label in labels[1:] if label.strip()]
        for at, cell in enumerate(row):
            spans = at == len(row) - 1 and len(row) < len(section.header)
            column = "" if spans or at >= len(section.header) else cell_text(section.header[at]).strip()
            for words, part in _with_words(cell):
                yield own, " ".join(text for text in (*before, column, words) if text), part


def _with_words(cell: Cell) -> Iterator[tuple[str, Number | Range]]:
    """The known numbers of a cell, each with the words before it, or after it where it begins the cell."""
    words = ""
    for at, part in enumerate(cell):
        if isinstance(part, Text):
            words = " ".join(f"{words} {_words_of(part)}".split())
        elif isinstance(part, Number | Range):
            next_texts = [one for one in cell[at + 1 : at + 2] if isinstance(one, Text)]
            following = "" if words else " ".join(map(_words_of, next_texts))
            if (part.mean if isinstance(part, Range) else part.value) is not None:
                yield words or following, part
            words = ""


def _words_of(part: Text) -> str:
    """The text; "" of what is drawn."""
    return part.text.strip() if re.search(r"\w", part.text) else ""


def _has_number(cell: Cell) -> bool:
    return any(isinstance(part, Number | Range) for part in cell)


def _exact(value: float | None) -> str:
    return "" if value is None else repr(value)


def _row_text(row: Row) -> str:
    return "  ".join(cell_text(cell) for cell in row)


def _markdown_line(text: str) -> str:
    """A paragraph, or where the text is indented an item of a list: four spaces would make it code."""
    return f"- {markdown_text(text.strip())}" if text.startswith(" ") else markdown_text(text)


def _markdown_row(row: Row, columns: int) -> str:
    cells = [markdown_text(cell_text(cell).strip()) for cell in row]
    return "| " + " | ".join([*cells, *[""] * (columns - len(cells))]) + " |"


def latex_escaped(text: str) -> str:
    """``text`` with what TeX reads as commands escaped, and signs outside ASCII as its commands."""
    escaped = "".join(_LATEX.get(char, char) for char in text)
    return re.sub(r"(?<![\w-])-(?=[\d.])", "$-$", escaped)


def _latex_row(row: Row, columns: int) -> str:
    cells = [latex_escaped(cell_text(cell).strip()) for cell in row]
    if len(cells) < columns:
        width = 0.95 * (columns - len(cells) + 1) / columns
        cells[-1] = rf"\multicolumn{{{columns - len(cells) + 1}}}{{p{{{width:.2f}\linewidth}}}}{{{cells[-1]}}}"
    return "{}" + " & ".join(cells) + r" \\"  # a row that begins with [ would be an option of the one before
