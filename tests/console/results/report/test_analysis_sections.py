"""Sections of the decision: what stands first on every output."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from console.results.analysis.records import Analysis, Comparison, GateResult, PlanStatus
from console.results.records import Results
from console.results.report.analysis_sections import decision_sections, detail_sections, verdict_section
from console.results.report.charts import differences_chart, gates_chart
from console.results.report.comparison_sections import comparison_sections
from console.results.statistics.estimates import Interval, LemmaTest, Need
from console.results.tables import Section, cell_text

RESULTS = Results("scaling", "demo", "fail", True, (), ())


def compared(metric: str, resolvable: float | None) -> Comparison:
    return Comparison("B", "A", metric, "confirmatory", "not told apart", need=Need(False, resolvable))


def verdict_text(*comparisons: Comparison) -> str:
    section = verdict_section(Analysis("do not ship", "Do not ship.", comparisons=comparisons), RESULTS)
    return "\n".join(cell_text(row[0]) for row in section.rows)


def test_the_verdict_says_how_small_a_difference_the_evaluation_shows() -> None:
    found = (
        compared("retrieval_top1", 0.045),
        compared("retrieval_top1", 0.051),
        compared("coherence_accuracy", 0.046),
    )
    assert (
        "Resolves 5.1 points of top-1, 4.6 points of coherence, four times in five; less may not show."
        in verdict_text(*found)
    )
    explored = tuple(replace(one, role="exploratory") for one in found)
    assert "Resolves" not in verdict_text(*explored, compared("retrieval_top1", None))


def labels(sections: tuple[Section, ...]) -> str:
    """Titles and headers, where a reader learns what the intervals are."""
    return "\n".join(f"{one.title} {' '.join(cell_text(cell) for cell in one.header)}" for one in sections)


@pytest.mark.parametrize(("level", "said"), [(0.05, "95%"), (0.025, "97.5%"), (0.05 / 3, "98.3%"), (0.1, "90%")])
def test_every_interval_is_labelled_with_its_own_coverage(level: float, said: str) -> None:
    interval = Interval(0.5, 0.4, 0.6, 0.05, "t", 3, 20, 60, 1 - level)
    one = replace(compared("retrieval_top1", 0.05), recipe=interval, models=LemmaTest(interval, 0.3))
    gate = GateResult("A", "retrieval_top1", 0.3, "PASS", interval, True)
    analysis = Analysis("ship", "Ship A.", gates=(gate,), comparisons=(one,), plan=PlanStatus(level=level))
    shown = labels((*decision_sections(analysis, RESULTS), *detail_sections(analysis), *comparison_sections((one,))))
    found = re.findall(r"[\d.]+%", shown.replace("% of seed pairs", ""))
    assert set(found) == {said} and len(found) == 7
    charts = gates_chart([gate]), differences_chart([one])
    assert all(f"bars: {said} for new lemmas" in chart for chart in charts)
