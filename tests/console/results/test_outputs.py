"""The same figures in every output of a report: screen, text, JSON, Markdown, LaTeX and CSV; nothing of a run is markup."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given, settings

from console.results.experiment_report import ExperimentReport
from console.results.report.layout import section_lines
from console.results.report.markup import CSV_COLUMNS, as_csv, as_latex, as_markdown, latex_escaped
from console.results.report.page import page
from console.results.tables import Number, Range, Section, header_row, text_cell
from console.ui.results.pane import page_content
from tests.console.results.reports import as_printed, as_text, report_on
from tests.console.results.test_tables import Evaluation, evaluations, make_results, numbers_in, results_with, unwrapped

HOSTILE = r"\input{/etc/passwd} $x^2$ 50% a_b & #1 ~ {[<b>|*x*`y`](http://a)"


def figures(report: ExperimentReport) -> list[Number | Range]:
    rows = [row for section in page(report.results, report) for row in section.rows]
    return [part for row in rows for cell in row for part in cell if isinstance(part, Number | Range)]


def values(part: Number | Range) -> set[float]:
    found = (part.low, part.mean, part.high) if isinstance(part, Range) else (part.value, part.sd)
    return {value for value in found if value is not None}


@settings(deadline=None, max_examples=15)
@given(evaluations)
def test_every_figure_is_in_every_output(
    found: list[Evaluation | None],
) -> None:
    results = results_with(found)
    report = report_on(results)
    sections = page(results, report)
    screen, text = unwrapped(page_content(sections, 200)[0].plain), unwrapped(as_text(results, report, 200))
    markdown, latex = as_markdown(sections), as_latex(sections)
    rows = list(csv.DictReader(io.StringIO(as_csv(sections))))
    in_csv = {float(row[name]) for row in rows for name in ("value", "low", "high", "sd") if row[name]}
    in_json = set(numbers_in(as_printed(results, report)))
    for part in figures(report):
        shown = unwrapped(part.text)
        assert shown in screen and shown in text
        assert re.sub(r"([\[\]<])", lambda char: "&lt;" if char[0] == "<" else "\\" + char[0], part.text) in markdown
        assert latex_escaped(part.text) in latex
        assert values(part) <= in_csv
        assert values(part) <= in_json


@pytest.mark.parametrize("width", [76, 116, 196])
def test_no_line_is_longer_than_its_screen(width: int) -> None:
    report = report_on(make_results(coherence=0.7))
    for section in page(report.results, report):
        for line in section_lines(section, width):
            assert len("".join(part.text for part in line).rstrip()) <= width


def test_json_names_its_schema_and_has_todays_keys_where_they_were_and_the_decision() -> None:
    report = report_on(make_results(coherence=0.7))
    body = as_printed(report.results, report)
    assert {"experiment", "profile", "verdict", "comparable", "runs", "conditions"} <= set(body)
    assert body["runs"][0]["top1"] == 0.461
    assert body["analysis"]["verdict"] == "do not ship"
    assert body["analysis"]["gates"][2]["interval"]["low"] == pytest.approx(0.68)


def hostile_section() -> Section:
    row = (text_cell("[" + HOSTILE), (Number(-0.5, "points"),), (Range(-0.1, 0.0, 0.1),))
    return Section(HOSTILE, (row, (text_cell("[" + HOSTILE),)), header_row("name", "Δ", "95%"), key="=cmd()")


def test_latex_has_no_command_of_a_run_and_is_balanced() -> None:
    latex = as_latex([hostile_section()])
    body = latex[latex.index(r"\begin{document}") :]
    assert r"\input" not in body and r"\textbackslash{}input\{" in body
    assert body.count(r"\begin{") == body.count(r"\end{") == 2
    unescaped = re.sub(r"\\[{}$&#_%]", "", body)
    assert unescaped.count("{") == unescaped.count("}") and unescaped.count("$") % 2 == 0
    assert not set("#~^") & set(unescaped)
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert all(not line.startswith(("[", "*")) for line in rows)  # would be an option of the row before
    spans = [int(span) for span in re.findall(r"\\multicolumn\{(\d+)\}", body)]
    plain = [line for line in rows if "multicolumn" not in line]
    assert spans == [3] and all(re.sub(r"\\&", "", line).count("&") == 2 for line in plain)


def test_markdown_has_no_markup_of_a_run() -> None:
    markdown = as_markdown([hostile_section()])
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {4}
    assert "<b>" not in markdown and "&lt;b&gt;" in markdown
    assert not re.search(r"(?<!\\)[`*]", markdown) and r"\](http://a)" in markdown


def test_csv_is_tidy_and_no_cell_is_a_formula() -> None:
    rows = list(csv.reader(io.StringIO(as_csv([hostile_section()]))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert rows[1] == ["'=cmd()", "[" + HOSTILE, "Δ", "-0.5", "", "", "", "", "fraction"]
    assert rows[2][3:] == ["0.0", "-0.1", "0.1", "", "", "fraction"]
    assert len(rows) == 3


def test_a_pair_of_conditions_stands_in_the_subject_of_each_of_its_metrics() -> None:
    report = report_on(make_results(coherence=0.7))
    rows = list(csv.DictReader(io.StringIO(as_csv(page(report.results, report)))))
    subjects = {row["subject"] for row in rows if row["section"] == "differences"}
    assert subjects == {"B − A top-1", "C − B top-1", "B − A tier1_easy", "C − B tier1_easy"}
    (gate,) = [row for row in rows if (row["section"], row["subject"], row["metric"]) == ("gates", "A", "top-1 95%")]
    assert (float(gate["low"]), float(gate["high"])) == pytest.approx((0.441, 0.481)) and gate["n"] == "663"
