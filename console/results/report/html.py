"""The results as one HTML page without any reference to a network: verdict, charts, tables, tests explained, provenance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from console.results.experiment_report import ExperimentReport
from console.results.provenance import provenance_sections
from console.results.report.charts import differences_chart, gates_chart, loss_chart, margins_chart
from console.results.report.explanations import EXPLANATIONS
from console.results.report.markup import without_bars
from console.results.report.page import page
from console.results.tables import Cell, Number, Range, Row, Section, Text, cell_text

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_FIGURES = (Number, Range)
_MAIN = ("gates", "differences", "outcomes", "t-tests", "next", "more", "decisions")
"""Sections that are open at first; the others open with a click, and in print."""
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
:root { --muted: #666; --pass: #1d7a45; --fail: #b8293d; --warn: #9a5b00; }
@media (prefers-color-scheme: dark) {
  :root { --muted: #aaa; --pass: #5fd08f; --fail: #ff8091; --warn: #ffbf5e; }
  body { background: #16181c; color: #e8e8e8; }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
h1 { font-size: 1.35rem; margin: .5rem 0; } h2 { font-size: 1.1rem; margin: 0; display: inline; }
.verdict { border-left: .4rem solid var(--warn); padding: .4rem 1rem; margin: 1rem 0; background: var(--soft); }
.verdict p { margin: .35rem 0; } .verdict p:first-child { font-size: 1.15rem; }
.verdict.ship { border-color: var(--pass); } .verdict.do-not-ship { border-color: var(--fail); }
nav { font-size: .9rem; color: var(--muted); } nav a { margin-right: .9rem; white-space: nowrap; } a { color: inherit; }
details { margin: 1.1rem 0; border-top: 1px solid var(--line); padding-top: .6rem; } summary { cursor: pointer; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .87rem; margin: .5rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .7rem .2rem 0; vertical-align: top; }
th, td { border-bottom: 1px solid var(--line); white-space: pre; }
td.words { white-space: normal; } th { color: var(--muted); font-weight: 600; }
p { margin: .3rem 0; } .indent { padding-left: 1.2rem; }
.pass { color: var(--pass); font-weight: 600; } .fail { color: var(--fail); font-weight: 600; }
.warning { color: var(--warn); font-weight: 600; } .muted { color: var(--muted); } .name { font-weight: 600; }
figure { margin: .8rem 0; } figure svg { width: 100%; height: auto; } figcaption { color: var(--muted); font-size: .87rem; }
code { font-size: .8rem; overflow-wrap: anywhere; } dt { font-weight: 600; margin-top: .6rem; } dd { margin-left: 1.2rem; }
@media print { body { max-width: none; font-size: 11px; background: #fff; color: #000; } nav { display: none; }
  :root { --muted: #555; --pass: #1d7a45; --fail: #b8293d; --warn: #9a5b00; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
  details, tr, figure { break-inside: avoid-page; } details { break-inside: auto; } th, td { white-space: normal; } }
"""


def as_html(report: ExperimentReport, title: str, written_at: str) -> str:
    """The whole page. Every text is escaped: lemmas and reasons come from users' files.

    Args:
        written_at: when, in words.

    Raises:
        BadInput: the chart library is not installed.
    """
    verdict, *sections = page(report.results, report)
    charts = _charts(report)
    kind = report.analysis.verdict.replace(" ", "-")
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<div class="verdict {escape(kind)}">{"".join(_paragraph(row) for row in verdict.rows)}</div>',
        f"<nav>{_links(sections)}</nav>",
        *(_section(section, charts.get(section.key, "")) for section in sections if section.key != "provenance"),
        _explanations(),
        *(_section(section, "") for section in provenance_sections(report.provenance, digits=64)),
        f'<p class="muted">Written {escape(written_at)} by qllm-console. This page refers to nothing outside itself.</p>',
    ]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"


def _charts(report: ExperimentReport) -> dict[str, str]:
    """Figures by the key of the section that they stand in."""
    analysis = report.analysis
    planned = [one for one in analysis.comparisons if one.role != "exploratory"]
    explored = [one for one in analysis.comparisons if one.role == "exploratory"]
    charts = {
        "gates": (gates_chart(analysis.gates), "Ship blockers: green passes, red fails, amber cannot be told yet."),
        "differences": (differences_chart(planned), "Planned differences: a bar that crosses 0 tells no difference."),
        "exploratory": (differences_chart(explored, "explored"), "Exploratory differences, the same way."),
        "training-loss": (loss_chart(report.training), "Loss: mean over seeds, band of one standard deviation."),
        "margins-retrieval": (
            margins_chart(report.margins, "retrieval"),
            "Best right candidate minus best wrong one: above 0 the item is right.",
        ),
        "margins-coherence": (
            margins_chart(report.margins, "coherence"),
            "Best right candidate minus best wrong one: above 0 the item is right.",
        ),
    }
    return {
        key: f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
        for key, (svg, caption) in charts.items()
        if svg
    }


def _anchor(section: Section) -> str:
    return escape(section.key or "".join(char if char.isalnum() else "-" for char in section.title.lower())[:40])


def _links(sections: Sequence[Section]) -> str:
    """A link to each section; of those that begin alike, as one for each probe, to the first."""
    found: dict[str, str] = {}
    for section in sections:
        if name := section.title.partition("   ")[0].partition(",")[0].partition(":")[0]:
            found.setdefault(name, _anchor(section))
    return " ".join(f'<a href="#{anchor}">{escape(name)}</a>' for name, anchor in found.items())


def _section(section: Section, chart: str) -> str:
    shown = without_bars(section)
    if len(shown.header) > 1:
        content = f'<div class="wide"><table><thead>{_table_row(shown.header, len(shown.header), "th")}</thead><tbody>'
        content += "".join(_table_row(row, len(shown.header), "td") for row in shown.rows) + "</tbody></table></div>"
    else:
        content = "".join(_paragraph(row) for row in shown.rows)
    is_open = " open" if section.key in _MAIN or chart else ""
    summary = f"<summary><h2>{escape(section.title)}</h2></summary>" if section.title else "<summary>More</summary>"
    return f'<details id="{_anchor(section)}"{is_open}>{summary}{chart}{content}</details>'


def _parts(cell: Cell) -> str:
    return "".join(
        f'<span class="{part.role}">{escape(part.text)}</span>' if part.role != "plain" else escape(part.text)
        for part in cell
    )


def _paragraph(row: Row) -> str:
    indent = ' class="indent"' if cell_text(row[0]).startswith(" ") else ""
    return f"<p{indent}>{'  '.join(_parts(cell) for cell in row)}</p>"


def _table_row(row: Row, columns: int, tag: str) -> str:
    return f"<tr>{''.join(_cells(row, columns, tag))}</tr>"


def _cells(row: Row, columns: int, tag: str) -> Iterator[str]:
    for at, cell in enumerate(row):
        span = columns - at if at == len(row) - 1 else 1
        kind = "number" if cell and all(isinstance(part, _FIGURES) for part in cell) and span == 1 else ""
        kind = kind or ("words" if span > 1 else "")
        attributes = (f' class="{kind}"' if kind and tag == "td" else "") + (f' colspan="{span}"' if span > 1 else "")
        indent = "&emsp;" if at == 0 and cell_text(cell).startswith(" ") else ""
        yield f"<{tag}{attributes}>{indent}{_parts(_stripped(cell))}</{tag}>"


def _stripped(cell: Cell) -> Cell:
    first = cell[:1]
    return (Text(first[0].text.lstrip(), first[0].role), *cell[1:]) if first and isinstance(first[0], Text) else cell


def _explanations() -> str:
    terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in EXPLANATIONS)
    return f'<details id="explained" open><summary><h2>How to read this</h2></summary><dl>{terms}</dl></details>'
