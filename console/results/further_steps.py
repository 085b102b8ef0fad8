"""Steps beside the plan: more seeds or items, conditions that part data from curriculum, and equal budgets. Reads no file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from console.format import GATE_LABELS, counted
from console.results.derive import difference_text
from console.results.next_step_records import Change, Evidence, NextStep, status_of
from console.results.statistics.variance import need_text
from console.results.step_facts import Facts, difference, is_equal, label, rounded
from engine.contract.settings import RunId, resolve


def more_data(facts: Facts) -> Iterator[NextStep]:
    """More seeds for every condition, or more evaluation items, where that would settle what is not settled."""
    open_needs: list[tuple[str, Any]] = []
    for one in facts.analysis.comparisons:
        undecided = one.reading in ("not told apart", "undecided")
        if one.role != "exploratory" and undecided and one.need is not None and not one.need.settled:
            open_needs.append((f"{one.ours} - {one.theirs} on {label(one.metric)}", one.need))
    for gate in facts.analysis.gates:
        if gate.outcome == "INCONCLUSIVE" and gate.need is not None and not gate.need.settled:
            open_needs.append((f"whether {gate.condition} passes {label(gate.gate)}", gate.need))
    if not open_needs:
        return
    by_seeds = [need.more_seeds for _, need in open_needs if need.more_seeds is not None]
    evidence = tuple(
        Evidence("against" if need.more_seeds is None else "for", f"{what}: {need_text(need)}")
        for what, need in open_needs
    )
    if by_seeds:
        seeds = max(by_seeds)
        advice = "They go to every condition of the profile, so that all are compared on the same seeds."
        title = f"{counted(seeds, 'more seed')} for every condition"
        yield NextStep(0, title, status_of(evidence), advice, evidence, (), (Change(more_seeds=seeds),))
    by_items = [need.items for _, need in open_needs if need.items is not None]
    if by_items:
        advice = "Evaluate on files of your own ([evaluation] in the experiment), or on fewer training lemmas."
        found = tuple(
            Evidence("open" if need.items is None else "for", f"{what}: {need_text(need)}") for what, need in open_needs
        )
        yield NextStep(0, f"About {rounded(max(by_items)):,} evaluation items", status_of(found), advice, found)


def ablations(facts: Facts) -> Iterator[NextStep]:
    """Conditions that part data from curriculum, for each comparison that mixes the two."""
    experiment = facts.experiment
    for ours, theirs in facts.pairs:
        if not {ours, theirs} <= facts.complete.keys():
            continue
        one, other = experiment.conditions[ours], experiment.conditions[theirs]
        curricula = [resolve(experiment, facts.profile, RunId(name, 0)).curriculum for name in (ours, theirs)]
        if (one.edition, one.bundles) == (other.edition, other.bundles) or curricula[0] == curricula[1]:
            continue
        metric = experiment.analysis.metric
        compared = facts.compared(ours, theirs, metric)
        mixed = Evidence("open", f"{ours} differs from {theirs} in data and in curriculum")
        if compared is not None and compared.recipe is not None:
            is_told = compared.reading in ("better", "worse")
            text = f"{label(metric)}: {ours} - {theirs} {difference(compared.recipe)}, in data and in curriculum"
            mixed = Evidence("for" if is_told else "open", text)
        for parent, curriculum, title in (
            (ours, other.curriculum, f"{ours}'s data without its curriculum"),
            (theirs, one.curriculum, f"{theirs}'s data with {ours}'s curriculum"),
        ):
            if _is_there(facts, parent, curriculum):
                continue
            budget, evidence = facts.budgets.get(parent), [mixed]
            if parent == theirs and budget is not None and budget.exposures is None:
                evidence += (
                    Evidence("against", f"{theirs}'s bundles have no tier3: a curriculum draws them as before"),
                )
            changes = (Change(parent, difference_text(experiment, facts.profile, parent, {"curriculum": curriculum})),)
            advice = f"It parts what the data of {ours} do from what its curriculum does."
            found = tuple(evidence)
            yield NextStep(0, title, status_of(found), advice, found, (parent,), changes)


def _is_there(facts: Facts, parent: str, curriculum: str) -> bool:
    """Whether some condition has ``parent``'s data and this curriculum already."""
    conditions, wanted = facts.experiment.conditions, facts.experiment.curricula[curriculum]
    data = (conditions[parent].edition, conditions[parent].bundles)
    return any(
        (one.edition, one.bundles) == data
        and resolve(facts.experiment, facts.profile, RunId(name, 0)).curriculum == wanted
        for name, one in conditions.items()
    )


def equal_budgets(facts: Facts) -> Iterator[NextStep]:
    """Conditions with the control's number of steps, or of epochs, where these differ."""
    control = facts.control
    if control is None or control not in facts.complete:
        return
    for name in facts.complete:
        if name == control or name not in facts.budgets or control not in facts.budgets:
            continue
        own, other = facts.budgets[name], facts.budgets[control]
        if not is_equal(own.steps, other.steps):
            yield _equal_budget(facts, name, control, "steps", own.steps, other.steps)
        if not is_equal(own.epochs, other.epochs):
            yield _equal_budget(facts, name, control, "epochs", own.epochs, other.epochs)


def _equal_budget(facts: Facts, name: str, control: str, unit: str, own: float, other: float) -> NextStep:
    equal = "epochs" if unit == "steps" else "steps"
    more = f"{own / other:.1f} times" if own > other else f"{own / other:.2f} times"
    evidence = [Evidence("open", f"{name} took {own:,.0f} {unit}, {control} {other:,.0f} ({more}), at equal {equal}")]
    for gate in GATE_LABELS:
        compared = facts.compared(name, control, gate)
        interval = compared.recipe if compared is not None else None
        if interval is not None and interval.high is not None and interval.high < 0:
            text = f"{label(gate)}: {name} - {control} {difference(interval)}: worse, by its data or by its {unit}"
            evidence.append(Evidence("for", text))
    found, changes = tuple(evidence), {"training": {unit: max(1, round(other))}}
    advice = f"It parts what {name}'s data do from what its number of {unit} does."
    toml = difference_text(facts.experiment, facts.profile, name, changes)
    title = f"{name} with {control}'s number of {unit}"
    return NextStep(0, title, status_of(found), advice, found, (name,), (Change(name, toml),))
