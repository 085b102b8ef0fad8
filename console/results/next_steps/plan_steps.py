"""Steps of the experiment's contingency plan, with what the data say for and against each. Reads no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import structs

from console.results.analysis.records import Comparison
from console.results.next_steps.derive import difference_text
from console.results.next_steps.facts import HEALTHY_EXPOSURES, Facts, difference, gates_text, label, other_steps
from console.results.next_steps.item_sources import SourceDifference, source_differences
from console.results.next_steps.records import Change, Evidence, NextStep, status_of
from console.results.statistics.estimates import Interval
from console.results.statistics.variance import need_text
from engine.contract.experiment import EASY, Contingency, root_of
from engine.contract.settings import RunId, resolve


def plan_step(facts: Facts, step: Contingency) -> NextStep | None:
    """The step of the plan, if one of its conditions is complete and fails a ship blocker."""
    experiment = facts.experiment
    failing = [
        name
        for name in facts.complete
        if root_of(experiment, name) in step.conditions and facts.failed_gates(name) and not _has(facts, name, step)
    ]
    if not failing:
        return None
    if step.fall_back is not None:
        return _fall_back(facts, step, step.fall_back, failing)
    evidence: list[Evidence] = []
    for name in failing:
        tried = [other for other in experiment.conditions if other != name and _has(facts, other, step, name)]
        evidence += [_tried(facts, other) for other in tried]
        if "curriculum_weights" in step.changes:
            evidence += _oversampling(facts, name)
        if "synthetics" in step.changes:
            evidence += _synthetics(facts, name)
    known = experiment.conditions
    parents = [name for name in failing if step.changes and not any(_has(facts, one, step, name) for one in known)]
    changes = tuple(Change(one, difference_text(experiment, facts.profile, one, step.changes)) for one in parents)
    status, found = status_of(tuple(evidence)), tuple(evidence)
    advice = f"Not advised. It would be: {step.advice}" if status == "contradicted" else step.advice
    return NextStep(0, step.title, status, advice, found, tuple(failing), changes, is_planned=True)


def _has(facts: Facts, name: str, step: Contingency, parent: str | None = None) -> bool:
    """Whether condition ``name`` has the step's changes already; with ``parent``, as derived from that one."""
    condition = facts.experiment.conditions[name]
    if not step.changes or (parent is not None and (condition.derived is None or condition.derived.parent != parent)):
        return False
    settings = resolve(facts.experiment, facts.profile, RunId(name, 0))
    tables = ((structs.asdict(getattr(settings, _attribute(table))), new) for table, new in step.changes.items())
    return all(present.get(key) == value for present, new in tables for key, value in new.items())


def _attribute(table: str) -> str:
    return "curriculum" if table == "curriculum_weights" else table


def _tried(facts: Facts, name: str) -> Evidence:
    """How the derived condition that has a step's change already came out."""
    if name not in facts.complete:
        return Evidence("open", f"{name} has this change and is not complete yet")
    failed = facts.failed_gates(name)
    if not failed:
        return Evidence("for", f"{name} has this change and passes every ship blocker")
    return Evidence("against", f"{name} has this change and fails {gates_text(failed)}")


def _oversampling(facts: Facts, name: str) -> Iterator[Evidence]:
    """Did oversampling hurt tier1? Are the exposures of tier3 too few?"""
    control = facts.control
    compared = facts.compared(name, control, EASY) if control is not None and control != name else None
    if compared is not None and compared.recipe is not None:
        yield _regression(facts, compared, compared.recipe)
    elif control is not None and control != name:
        yield Evidence("open", f"{name} was not compared with {control} on {EASY}")
    budget = facts.budgets.get(name)
    if budget is None:
        return
    if budget.exposures is None:
        yield Evidence("against", f"{name} trains on no tier3 bundles: their weight changes nothing")
    elif budget.exposures < HEALTHY_EXPOSURES:
        text = f"a tier3 bundle of {name} is drawn {budget.exposures:.1f} times in a run, healthy is {HEALTHY_EXPOSURES:.0f}"
        yield Evidence("against", f"{text} or more: less oversampling gives fewer still")
    else:
        text = f"a tier3 bundle of {name} is drawn {budget.exposures:.0f} times in a run, {HEALTHY_EXPOSURES:.0f} are enough"
        yield Evidence("open", text)


def _regression(facts: Facts, compared: Comparison, interval: Interval) -> Evidence:
    """Whether tier1 is worse than the control's, within the margin not worse, or neither is told."""
    margin = facts.experiment.analysis.margin_points / 100
    text = f"{EASY}: {compared.ours} - {compared.theirs} {difference(interval)}"
    ours, theirs = (facts.experiment.conditions[one] for one in (compared.ours, compared.theirs))
    also = (
        ", by its other data or its curriculum"
        if (ours.edition, ours.bundles) != (theirs.edition, theirs.bundles)
        else ""
    )
    if interval.high is not None and interval.high < 0:
        return Evidence("for", f"{text}: worse{also}")
    if interval.low is not None and interval.low > -margin:
        return Evidence("against", f"{text}: no loss of {100 * margin:g} points")
    return Evidence("open", f"{text}: whether it lost is not told")


def _synthetics(facts: Facts, name: str) -> Iterator[Evidence]:
    """Are the synthetic contexts the ones that fail?"""
    theirs = next((theirs for ours, theirs in facts.pairs if ours == root_of(facts.experiment, name)), None)
    if theirs is None or theirs not in facts.complete:
        return
    by_source = source_differences(facts.loaded, facts.runs[name], facts.runs[theirs])
    if synthetic := by_source.get("synthetic"):
        yield _synthetic_items(f"{name} - {theirs}", synthetic, by_source)
    elif by_source:
        items = sum(one.items for one in by_source.values())
        yield Evidence(
            "open", f"none of the {items:,} evaluation items is synthetic: they cannot tell which contexts fail"
        )
    more_steps = other_steps(facts, name, theirs)
    for gate in facts.failed_gates(name):
        compared = facts.compared(name, theirs, gate.gate)
        if compared is None or (interval := compared.recipe) is None:
            continue
        text = f"{label(gate.gate)}: {name} - {theirs} {difference(interval)}"
        if interval.high is not None and interval.high < 0:
            # with other steps too, the data are not the only suspect
            yield Evidence(
                "open" if more_steps else "for", f"{text}: worse{', but ' + more_steps if more_steps else ''}"
            )
        elif interval.low is not None and interval.low > 0:
            yield Evidence("against", f"{text}: better with the synthetic contexts")
        else:
            yield Evidence("open", f"{text}: not told apart")


def _synthetic_items(label: str, synthetic: SourceDifference, by_source: Mapping[str, SourceDifference]) -> Evidence:
    others = [f"{source} {difference(one.interval)}" for source, one in by_source.items() if source != "synthetic"]
    text = f"{label} on {synthetic.items:,} synthetic items {difference(synthetic.interval)}; {', '.join(others)}"
    interval = synthetic.interval
    if interval.high is not None and interval.high < 0:
        return Evidence("for", text)
    return Evidence("against" if interval.low is not None and interval.low > 0 else "open", text)


def _fall_back(facts: Facts, step: Contingency, name: str, failing: list[str]) -> NextStep:
    """Ship ``name`` instead: advised only if it passes every ship blocker."""
    failed = facts.failed_gates(name)
    gates = [gate for gate in facts.analysis.gates if gate.condition == name]
    if name not in facts.complete:
        evidence, advice = Evidence("open", f"{name} is not complete yet"), f"Complete {name} first."
    elif failed and any(gate.outcome == "FAIL" for gate in failed):
        evidence = Evidence("against", f"{name} fails {gates_text(failed)}")
        names = " and ".join(label(gate.gate) for gate in failed)
        advice = f"{name} fails {names} itself: nothing to ship."
    elif undecided := [gate for gate in gates if gate.outcome != "PASS"]:
        needs = [f"; {need_text(gate.need)}" for gate in undecided if gate.need is not None][:1]
        evidence = Evidence("open", f"{name} is not settled on {gates_text(undecided)}{''.join(needs)}")
        advice = f"Settle {name} first: it may be shipped only if it passes every ship blocker."
    else:
        evidence, advice = Evidence("for", f"{name} passes every ship blocker"), step.advice
    found = (evidence,)
    return NextStep(0, step.title, status_of(found), advice, found, tuple(failing), is_planned=True)
