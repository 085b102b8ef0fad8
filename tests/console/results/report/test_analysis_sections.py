"""Sections of the decision: what stands first on every output."""

from __future__ import annotations

from msgspec.structs import replace

from console.results.analysis.records import Analysis, Comparison
from console.results.records import Results
from console.results.report.analysis_sections import verdict_section
from console.results.statistics.estimates import Need
from console.results.tables import cell_text

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
    assert "Resolves 5.1 points of top-1, 4.6 points of coherence, four times in five; less is noise." in verdict_text(
        *found
    )
    explored = tuple(replace(one, role="exploratory") for one in found)
    assert "Resolves" not in verdict_text(*explored, compared("retrieval_top1", None))
