"""The HTML page: every figure, nothing from outside, no text of a run as markup, and read by a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.results.descriptions.records import (
    ConditionTraining,
    MarginDistribution,
    Quantile,
    SeedPoint,
    TrainingSummary,
)
from console.results.experiment_report import ExperimentReport
from console.results.provenance import RunProvenance
from console.results.report.html import as_html
from console.results.report.page import page
from console.results.tables import Number, Range
from tests.console.results.reports import interval, report_on
from tests.console.results.test_tables import make_results

pytest.importorskip("matplotlib", reason="matplotlib draws the charts and is not installed")

HOSTILE = "<script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=alert(1)>&\"'$x$"
VOID = {"meta", "img", "br", "hr", "link", "input"}
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def full_report(text: str = "the gate is below chance") -> ExperimentReport:
    points = tuple(SeedPoint(epoch, 2.0 - epoch / 2, 0.1, 3) for epoch in (0.5, 1.0, 1.5))
    training = TrainingSummary(
        (ConditionTraining("A", (42, 123, 456), points, points, points, points),), 0.57, text, (), ()
    )
    quantile = Quantile(-0.2, 0.01, 3)
    counts = (1.0, 4.0, 5.0, 2.0)
    margins = tuple(
        MarginDistribution(
            name, "retrieval", 12, 9, interval(0.01), quantile, quantile, (-0.2, -0.1, 0, 0.1, 0.2), counts, 0.0, counts
        )
        for name in ("A", text)
    )
    sources = (RunProvenance("A", 42, "a" * 64, "b" * 64, "c" * 64, text),)
    report = report_on(make_results(coherence=0.7), summary=f"Do not ship. {text}", warning=text)
    return replace(report, training=training, margins=margins, provenance=sources)


class _Page(HTMLParser):
    """Checks that tags are closed in order; keeps their attributes, ids and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_whole_refers_to_nothing_outside_and_is_the_same_each_time() -> None:
    html = as_html(full_report(), "Results", "2026-01-02")
    read = _Page(html)
    assert not read.open
    references = [(tag, value) for tag, name, value in read.attributes if name in ("src", "href", "xlink:href")]
    assert references and all(value.startswith("#") for _, value in references), references
    assert not re.search(r"url\((?!#)|@import|<script|<link|<iframe", html)
    ids = [value for _, name, value in read.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for _, value in references} | set(re.findall(r"url\(#([^)]+)\)", html))
    assert targets <= set(ids)
    assert html == as_html(full_report(), "Results", "2026-01-02")


def test_it_has_charts_explanations_and_whole_fingerprints() -> None:
    html = as_html(full_report(), "Results", "now")
    assert html.count("<svg") == 5  # gates, differences planned and explored, loss, margins
    for text in (
        "How to read this",
        "Holm",
        "a" * 64,
        "b" * 64,
        "currentColor",
        "prefers-color-scheme",
        "@media print",
    ):
        assert text in html


def test_every_figure_of_the_page_is_in_it() -> None:
    report = full_report()
    text = " ".join("".join(_Page(as_html(report, "Results", "now")).text).split())
    for section in page(report.results, report):
        for row in section.rows:
            for part in (part for cell in row for part in cell if isinstance(part, Number | Range)):
                assert part.text in text, part


def test_no_text_of_a_run_is_markup() -> None:
    html = as_html(full_report(HOSTILE), f"Results {HOSTILE}", HOSTILE)
    read = _Page(html)
    assert {tag for tag, _, _ in read.attributes} & {"script", "img", "iframe", "link"} == set()
    assert "<script" not in html and "onerror=alert(1)>" not in html
    assert HOSTILE in unescape(html)


@pytest.mark.skipif(BROWSER is None, reason="no chromium to read the page with")
def test_a_browser_shows_the_page_and_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(as_html(full_report(HOSTILE), "Results of a test", "now"), encoding="utf-8")
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    picture = tmp_path / "page.png"
    command = [str(BROWSER), *flags, "--dump-dom", path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "<title>Results of a test</title>" in dom and "owned</title>" not in dom
    assert dom.count("<svg") == 5 and "DO NOT SHIP" in dom
    subprocess.run(
        [str(BROWSER), *flags, "--window-size=1000,1200", f"--screenshot={picture}", path.as_uri()],
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert picture.stat().st_size > 20_000
