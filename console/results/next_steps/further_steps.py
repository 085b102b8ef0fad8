"""Steps beside the plan: another model, more seeds or items, data parted from curriculum, equal budgets. Reads no file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from console.format import GATE_LABELS, counted
from console.results.next_steps.derive import difference_text
from console.results.next_steps.facts import Facts, difference, is_equal, label
from console.results.next_steps.records import Change, Evidence, NextStep, status_of
from console.results.statistics.variance import about, need_text
from engine.contract.settings import RunId, resolve

RESIDUAL: dict[str, Any] = {
    "model": {"architecture": "residual"},
    "training": {"learning_rate": 1e-3, "slack_weight": 0.0},
}
"""The second axis of scaling, as in configs/capacity.toml but for its block weights, which are of two layers only."""


def other_model(facts: Facts) -> Iterator[NextStep]:
    """Step to a head of more capacity, where every complete condition fails a gate by more than the conditions differ."""
    evidence = tuple(_shortfalls(facts))
    parent = facts.control if facts.control in facts.complete else next(iter(facts.complete), None)
    if not evidence or parent is None:
        return
    architectures = {
        resolve(facts.experiment, facts.profile, RunId(name, 0)).model.architecture for name in facts.complete
    }
    if architectures != {"sense_head"}:
        return
    toml = difference_text(facts.experiment, facts.profile, parent, RESIDUAL)
    advice = f"Scale the model instead of the data: {parent} with a residual head, whose correction starts at zero."
    title = f"A head of more capacity on {parent}'s data"
    yield NextStep(0, title, status_of(evidence), advice, evidence, (parent,), (Change(parent, toml),))


def _shortfalls(facts: Facts) -> Iterator[Evidence]:
    """How far the best condition is below each gate that all fail, where the conditions differ by less than that."""
    for gate in settled_gates(facts):
        found = [one for one in facts.analysis.gates if one.gate == gate and one.interval is not None]
        means = {one.condition: one.interval.mean for one in found if one.interval is not None}
        best = max(means, key=means.__getitem__)
        lacks, spread = found[0].threshold - means[best], means[best] - min(means.values())
        if lacks > spread:
            differ = f"; the conditions differ by {100 * spread:.1f} at most" if len(means) > 1 else ""
            yield Evidence("for", f"{label(gate)}: the best condition, {best}, lacks {100 * lacks:.1f} points{differ}")


def settled_gates(facts: Facts) -> list[str]:
    """Gates that every condition fails beyond doubt, once all are complete: no number of seeds or items changes that."""
    names = list(facts.runs)
    if not names or set(facts.complete) != set(names):
        return []
    failed = {(one.condition, one.gate) for one in facts.analysis.gates if one.outcome == "FAIL"}
    return [gate for gate in GATE_LABELS if all((name, gate) in failed for name in names)]


def more_data(facts: Facts) -> Iterator[NextStep]:
    """Step to more seeds for every condition, or to more evaluation items, where that would settle what is not settled."""
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
    settled = [label(gate) for gate in settled_gates(facts)]
    verdict = [Evidence("open", f"the verdict stays what it is: every condition fails {gate}") for gate in settled]
    evidence = (
        *(
            Evidence("against" if need.more_seeds is None else "for", f"{what}: {need_text(need)}")
            for what, need in open_needs
        ),
        *verdict,
    )
    if by_seeds:
        seeds = max(by_seeds)
        advice = "They go to every condition of the profile, so that all are compared on the same seeds."
        title = f"{counted(seeds, 'more seed')} for every condition"
        yield NextStep(0, title, status_of(evidence), advice, evidence, (), (Change(more_seeds=seeds),))
    by_items = [need.items for _, need in open_needs if need.items is not None]
    if by_items:
        advice = "Evaluate on files of your own ([evaluation] in the experiment), or on fewer training lemmas."
        found = (
            *(
                Evidence("open" if need.items is None else "for", f"{what}: {need_text(need)}")
                for what, need in open_needs
            ),
            *verdict,
        )
        yield NextStep(0, f"About {about(max(by_items))} evaluation items", status_of(found), advice, found)


def ablations(facts: Facts) -> Iterator[NextStep]:
    """Steps to conditions that part data from curriculum, for each comparison that mixes the two."""
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
    """Steps to conditions with the control's number of steps, or of epochs, where these differ."""
    control = facts.control
    if control is None or control not in facts.complete:
        return
    for name in facts.complete:
        if name == control or name not in facts.budgets or control not in facts.budgets:
            continue
        own, other = facts.budgets[name], facts.budgets[control]
        if not is_equal(own.steps, other.steps) and not _has_budget(facts, name, "steps", other.steps):
            yield _equal_budget(facts, name, control, "steps", own.steps, other.steps)
        if not is_equal(own.epochs, other.epochs) and not _has_budget(facts, name, "epochs", other.epochs):
            yield _equal_budget(facts, name, control, "epochs", own.epochs, other.epochs)


def _has_budget(facts: Facts, parent: str, unit: str, count: float) -> bool:
    """Whether a condition was derived from ``parent`` with this number of steps or epochs already."""
    children = [
        name for name, one in facts.experiment.conditions.items() if one.derived and one.derived.parent == parent
    ]
    settings = (resolve(facts.experiment, facts.profile, RunId(name, 0)) for name in children)
    return any(getattr(one.training, unit) == max(1, round(count)) for one in settings)


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
