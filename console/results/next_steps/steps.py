"""Which steps come next: the plan's for conditions that fail a ship blocker, and what would tell more. Reads no file.

Each step has its evidence. What is known is resolved: no step says "if A passes" once A has failed.
"""

from __future__ import annotations

from msgspec import structs

from console.results.analysis.records import Analysis
from console.results.load import LoadedRuns
from console.results.next_steps.facts import facts_of
from console.results.next_steps.further_steps import ablations, equal_budgets, more_data, other_model
from console.results.next_steps.plan_steps import plan_step
from console.results.next_steps.records import NextStep, StepStatus
from console.results.records import Results
from console.results.tables import Role, Row, Section, Text
from engine.contract.experiment import Experiment


def next_steps(
    experiment: Experiment, profile: str, results: Results, analysis: Analysis, loaded: LoadedRuns
) -> tuple[NextStep, ...]:
    """What could come next, the plan's steps first; none before a condition is complete."""
    facts = facts_of(experiment, profile, results, analysis, loaded)
    steps: list[NextStep] = []
    if results.comparable:
        steps += [step for one in experiment.contingency if (step := plan_step(facts, one)) is not None]
        steps += [*other_model(facts), *more_data(facts), *ablations(facts), *equal_budgets(facts)]
    return tuple(structs.replace(step, order=order) for order, step in enumerate(steps, start=1))


_ROLES: dict[StepStatus, Role] = {
    "supported": "pass",
    "contradicted": "fail",
    "conflicting": "warning",
    "no evidence": "muted",
}


def next_sections(steps: tuple[NextStep, ...]) -> tuple[Section, ...]:
    """The steps of the plan with their evidence, and the other ones below."""
    planned, others = ([step for step in steps if step.is_planned is wanted] for wanted in (True, False))
    return tuple(
        Section(title, tuple(row for step in chosen for row in _rows(step)), key=key)
        for title, key, chosen in (
            ("Next, in the plan's order", "next", planned),
            ("Beside the plan", "more", others),
        )
        if chosen
    )


def _rows(step: NextStep) -> list[Row]:
    rows: list[Row] = [
        (
            (
                Text(f"{step.order}. "),
                Text(step.title, "name"),
                Text("   "),
                Text(step.status, _ROLES[step.status]),
            ),
        )
    ]
    rows += [((Text(f"   {one.side}: ", "muted"), Text(one.text)),) for one in step.evidence]
    rows.append(((Text("   "), Text(step.advice, "muted")),))
    return rows
