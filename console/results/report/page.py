"""The page of results: its sections in order, which every output shows; as plain text for people, as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from console.results.records import Results, RunResult
from console.results.report.layout import page_lines
from console.results.report.result_sections import result_sections
from console.results.tables import LINE_WIDTH, Row, Section, Text

if TYPE_CHECKING:  # numpy, which the first paint does without
    from console.results.experiment_report import ExperimentReport

COMPUTING = "Intervals and verdict: computing ..."


def page(results: Results, report: ExperimentReport | None = None, note: str = COMPUTING) -> tuple[Section, ...]:
    """Sections from the verdict to the tables for reference; without a report, the means, and ``note`` below the verdict."""
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


def json_fields(results: Results, report: ExperimentReport | None = None) -> dict[str, Any]:
    """The fields of the results in JSON; with a report, all of its records under their names."""
    fields: dict[str, Any] = msgspec.to_builtins(results) | {"runs": [_run_fields(run) for run in results.runs]}
    if report is not None:
        parts: dict[str, Any] = msgspec.to_builtins(report)
        del parts["results"]
        fields |= parts
    return fields


def _run_fields(run: RunResult) -> dict[str, Any]:
    """A run with its head's scores at the top level; null where it has none."""
    fields: dict[str, Any] = msgspec.to_builtins(run)
    head = fields.pop("head") or dict.fromkeys(("top1", "top3", "coherence", "margins", "tiers"))
    return {**fields, **head}


def sections_text(sections: Sequence[Section], width: int = LINE_WIDTH, ascii_only: bool = False) -> str:
    """``sections`` as lines of at most ``width`` columns."""
    lines = page_lines(sections, width, ascii_only)
    return "\n".join("".join(part.text for part in line).rstrip() for line in lines)
