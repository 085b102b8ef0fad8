"""JSON answers of the commands about results; apart from the others, since their records import polars."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, defstruct
from msgspec.structs import fields

from console.results.experiment_report import ExperimentReport
from console.results.items.changes import ItemChanges
from console.results.items.filter import ItemFilter
from console.results.items.items import ItemRecord
from console.results.next_steps.decisions import Decision
from console.results.next_steps.derive import Addition
from console.results.next_steps.records import NextStep
from console.results.records import ModelScores, Results, RunResult


class ItemsAnswer(Struct, frozen=True):
    """The evaluation items that pass the filter, most failures first.

    Attributes:
        seeds: of each condition, those whose runs are counted.
        total, shown: items in all, and of them those that pass.
        changes: with ``--fixed-by`` or ``--broken-by``, how many items were fixed and broken.
    """

    experiment: str
    profile: str
    seeds: dict[str, tuple[int, ...]]
    filter: ItemFilter
    total: int
    shown: int
    changes: tuple[ItemChanges, ...]
    items: tuple[ItemRecord, ...]


class RecordedDecision(Decision, frozen=True, kw_only=True):
    """A decision, and whether the results have changed since."""

    results_have_changed: bool


class DecisionsAnswer(Struct, frozen=True):
    """All decisions on the experiment and profile, oldest first; the fingerprint is of the results as they are now."""

    decisions: tuple[RecordedDecision, ...]
    results_fingerprint: str


class NextStepsAnswer(Struct, frozen=True):
    """Next steps that follow from the results, each with the evidence for and against it."""

    steps: tuple[NextStep, ...]


class DerivedAnswer(Struct, frozen=True):
    """Conditions and seeds that a next step adds to the experiment; ``written``: they were added."""

    addition: Addition
    written: bool


def results_answer() -> type[Struct]:
    """Type of the answer of ``results``: the fields of Results and of ExperimentReport, with each run's scores beside it.

    ``console.results.report.page.json_fields`` makes it.
    """
    run_fields: list[Any] = [(one.name, one.type) for one in fields(RunResult) if one.name != "head"]
    run_fields += [(one.name, one.type | None) for one in fields(ModelScores)]
    run = defstruct("ScoredRun", run_fields, frozen=True, namespace={"__doc__": RunResult.__doc__})
    own: list[Any] = [(one.name, one.type) for one in fields(Results) if one.name != "runs"]
    own += [("runs", tuple[run, ...])]  # type: ignore[valid-type]
    own += [(one.name, one.type) for one in fields(ExperimentReport) if one.name != "results"]
    return defstruct("ResultsAnswer", own, frozen=True, namespace={"__doc__": ExperimentReport.__doc__})
