"""The verdict on an experiment, and the one or two sentences that say it; pure functions of gates and comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from console.format import metric_label
from console.results.analysis.findings import (
    MOST_NAMED,
    findings,
    gate_text,
    joined,
    names_text,
    points_text,
    verb,
)
from console.results.analysis.records import Comparison, GateResult
from console.results.statistics.multiplicity import holm
from console.results.statistics.variance import need_text
from engine.contract.metrics import GATE_NAMES


class Decision(NamedTuple):
    """What can be decided: the verdict, the sentences that say it, the conditions that pass every gate, the one to ship."""

    verdict: Literal["ship", "do not ship", "undecided", "incomplete"]
    summary: str
    shippable: tuple[str, ...] = ()
    ship: str | None = None


class Evaluated(NamedTuple):
    """How many of a condition's runs are counted."""

    condition: str
    counted: int
    total: int


def decide(
    evaluated: Sequence[Evaluated],
    gates: Sequence[GateResult],
    comparisons: Sequence[Comparison],
    gate_level: float,
    *,
    comparable: bool = True,
    derived: Iterable[str] = (),
    changes: Iterable[str] = (),
) -> Decision:
    """The decision on the planned conditions in ``evaluated``.

    Args:
        gate_level: two-sided, of the gates' intervals.
        derived: conditions made after results were read, of which it only says what is to be confirmed.
        changes: of the plan since the first launch, in words; a verdict says those that bear on it.
    """
    counted, total = sum(one.counted for one in evaluated), sum(one.total for one in evaluated)
    if not counted:
        return Decision("incomplete", "Nothing to decide yet: no run is evaluated.")
    if not comparable:
        return Decision("incomplete", "No verdict: the runs were scored on different evaluation data.")
    by_condition = _by_condition(gates)
    derived = set(derived)
    planned = [one.condition for one in evaluated if one.condition not in derived]
    found = findings(by_condition, comparisons, planned, gate_level)
    if any(one.counted < one.total for one in evaluated if one.condition not in derived):
        so_far = f" So far: {found}." if found else ""
        return Decision("incomplete", f"Incomplete. {counted} of {total} runs are evaluated.{so_far}")
    passing = tuple(one for one in planned if _outcome(by_condition.get(one, ())) == "PASS")
    hopeful = [one for one in planned if _outcome(by_condition.get(one, ())) == "INCONCLUSIVE"]
    candidates = [one for one in by_condition if one in derived and _outcome(by_condition[one]) == "PASS"]
    exploratory = ""
    if candidates:
        passes, was = verb(candidates, "passes", "pass"), verb(candidates, "was", "were")
        exploratory = (
            f" {names_text(candidates)} {passes} every ship blocker, but {was} made after results were read: to be scored"
            " on the confirm split first."
        )
    by_plan = _changed_plan(changes)
    if passing:
        ship, reasons = _best(passing, comparisons)
        judged = {one: by_condition[one] for one in planned if one in by_condition}
        alone = (
            "" if _passes_among(ship, judged, gate_level) else f", by itself but not over all {len(judged)} conditions"
        )
        text = f"Ship {ship}: it passes every ship blocker{alone}. {reasons}{_others(planned, passing, by_condition)}"
        return Decision("ship", text.strip() + by_plan + exploratory, passing, ship)
    if hopeful:
        text = f"Undecided. {_capital(_undecided(hopeful, by_condition))}."
        rest = findings(by_condition, comparisons, planned, gate_level, without_inconclusive=True)
        return Decision("undecided", text + (f" {_capital(rest)}." if rest else "") + exploratory)
    return Decision("do not ship", f"Do not ship. {_capital(found)}.{by_plan}{exploratory}")


def _changed_plan(changes: Iterable[str]) -> str:
    """The changes of the plan that bear on the verdict, as a sentence; what was expected decides nothing."""
    told = [one for one in changes if not one.startswith("the expected outcome")]
    if len(told) > MOST_NAMED:
        told = [*told[:MOST_NAMED], f"{len(told) - MOST_NAMED} more"]
    return f" But the plan was changed after the first launch: {joined(told)}." if told else ""


def _passes_among(condition: str, gates: dict[str, list[GateResult]], gate_level: float) -> bool:
    """Whether ``condition`` passes every gate with all conditions that were judged taken into account.

    That it passes all gates has the greatest p of its gates (an intersection-union test: Berger, Technometrics 24, 1982),
    and these are adjusted over conditions by Holm.
    """
    ps = {one: max(1.0 if gate.pass_p is None else gate.pass_p for gate in own) for one, own in gates.items()}
    return dict(zip(ps, holm([*ps.values()]), strict=True))[condition] < gate_level / 2


def _by_condition(gates: Iterable[GateResult]) -> dict[str, list[GateResult]]:
    found: dict[str, list[GateResult]] = {}
    for one in gates:
        found.setdefault(one.condition, []).append(one)
    return found


def _outcome(gates: Iterable[GateResult]) -> str:
    """FAIL where one gate fails, PASS where all pass, MISSING where one is missing, else INCONCLUSIVE."""
    outcomes = {one.outcome for one in gates}
    for decided in ("MISSING", "FAIL", "INCONCLUSIVE"):
        if decided in outcomes:
            return decided
    return "PASS" if outcomes else "MISSING"


def _best(passing: Sequence[str], comparisons: Sequence[Comparison]) -> tuple[str, str]:
    """The passing condition to ship, and why: a later one replaces an earlier one only if it is shown to be better.

    A planned comparison must show it. It must also be shown not to be worse where nothing may regress.
    """
    ship, reasons = passing[0], list[str]()
    no_better: list[str] = []
    for one in passing[1:]:
        found_better = [found for found in comparisons if _is_better(found, one, ship)]
        better = [found for found in found_better if found.role == "confirmatory"]
        guards = [found for found in comparisons if found.ours == one and found.role == "non-inferiority"]
        open_guards = [found for found in guards if found.reading not in ("not worse", "identical")]
        if not better and found_better:
            on = f"{metric_label(found_better[0].metric)} ({points_text(found_better[0])})"
            reasons.append(f"{one} is better than {ship} on {on}, but exploratory: no planned comparison shows it.")
        elif not better:
            no_better.append(one)
        elif open_guards:
            names = joined([metric_label(found.metric) for found in open_guards])
            gain = points_text(better[0])
            reasons.append(f"{one} is better than {ship} ({gain}), but it is not shown that {names} does not regress.")
        else:
            reasons.append(
                f"{one} is better than {ship} on {metric_label(better[0].metric)} ({points_text(better[0])})."
            )
            ship, no_better = one, []
    if no_better:
        reasons.append(f"{names_text(no_better)} {verb(no_better, 'is', 'are')} not shown to be better than {ship}.")
    return ship, "".join(f"{reason} " for reason in reasons)


def _is_better(found: Comparison, ours: str, theirs: str) -> bool:
    """Whether ``found`` shows that ``ours`` is better on a metric that is decided on, whichever way round it was asked."""
    if found.metric not in GATE_NAMES or found.role == "non-inferiority":
        return False
    if (found.ours, found.theirs) == (ours, theirs):
        return found.reading == "better"
    return (found.ours, found.theirs) == (theirs, ours) and found.reading == "worse"


def _others(planned: Sequence[str], passing: Sequence[str], gates: dict[str, list[GateResult]]) -> str:
    """What the conditions that do not pass lack."""
    found = []
    for one in planned:
        if one not in passing:
            bad = [gate for gate in gates.get(one, ()) if gate.outcome != "PASS"]
            word = "fails" if any(gate.outcome == "FAIL" for gate in bad) else "does not surely pass"
            failed = [gate for gate in bad if gate.outcome == "FAIL"] or bad
            found.append(f"{one} {word} {joined([metric_label(gate.gate) for gate in failed])}")
    return f"{joined(found)}." if found else ""


def _undecided(hopeful: Sequence[str], gates: dict[str, list[GateResult]]) -> str:
    """Which gates are open, and what would settle the first of them."""
    opened = [gate for one in hopeful for gate in gates[one] if gate.outcome == "INCONCLUSIVE"]
    texts = [f"{gate.condition}'s {gate_text(gate)}" for gate in opened]
    text = f"{joined(texts[:MOST_NAMED])} {'neither passes' if len(opened) == 1 else 'neither pass'} nor fail"
    text += "s" if len(opened) == 1 else ""
    if len(opened) > MOST_NAMED:
        text += f", and {len(opened) - MOST_NAMED} more"
    need = opened[0].need
    return text if need is None else f"{text}: {need_text(need)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
