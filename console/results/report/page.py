"""The page of results: which sections it has, in which order; screen and every written output show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.results.report.result_sections import result_sections
from console.results.tables import Row, Section, Text

if TYPE_CHECKING:  # numpy, which the first paint does without
    from console.results.experiment_report import ExperimentReport
    from console.results.records import Results

COMPUTING = "Intervals: computing ..."


def page(results: Results, report: ExperimentReport | None = None, note: str = COMPUTING) -> tuple[Section, ...]:
    """Sections from the verdict to what one looks up; without a report, what the means say, and ``note`` below the verdict."""
    if report is None:
        first, *rest = result_sections(results)
        note_row: Row = ((Text(note, "muted"),),)
        return (Section(first.title, (*first.rows, note_row), first.header, first.key), *rest)
    from console.results.items.changes import items_sections
    from console.results.next_steps.decisions import recorded_sections
    from console.results.next_steps.steps import next_sections
    from console.results.provenance import provenance_sections
    from console.results.report.analysis_sections import decision_sections, detail_sections, verdict_section
    from console.results.report.failure_sections import failure_sections, margin_sections
    from console.results.report.training_sections import attention_sections, training_sections

    return (
        verdict_section(report.analysis, report.results, report.next_steps),
        *decision_sections(report.analysis, report.results),
        *next_sections(report.next_steps),
        *recorded_sections(report.decisions, report.analysis.results_fingerprint),
        *failure_sections(report.failure_modes),
        *items_sections(report.item_changes),
        *margin_sections(report.margins),
        *(training_sections(report.training) if report.training else ()),
        *attention_sections(report.attention),
        *(section for section in result_sections(report.results) if section.key != "verdict"),
        *detail_sections(report.analysis),
        *provenance_sections(report.provenance),
    )
