"""The verdict on an experiment, and the one or two sentences that say it; pure functions of gates and comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from console.format import GATE_LABELS, percent
from console.results.analysis_records import MEAN_POOL, Comparison, GateResult
from console.results.statistics.variance import need_text
from engine.contract.metrics import GATE_NAMES

METRIC_LABELS = GATE_LABELS | {"margin": "margin", "killers": "killers"}
MOST_NAMED = 2


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
        changes: of the plan since the first launch; that gates were moved is said beside a verdict that follows from it.
    """
    counted, total = sum(one.counted for one in evaluated), sum(one.total for one in evaluated)
    if not counted:
        return Decision("incomplete", "Nothing to decide yet: no run is evaluated.")
    if not comparable:
        return Decision("incomplete", "No verdict: the runs were scored on different evaluation data.")
    by_condition = _by_condition(gates)
    derived = set(derived)
    planned = [one.condition for one in evaluated if one.condition not in derived]
    findings = _findings(by_condition, comparisons, planned, gate_level)
    if any(one.counted < one.total for one in evaluated if one.condition not in derived):
        so_far = f" So far: {findings}." if findings else ""
        return Decision("incomplete", f"Incomplete. {counted} of {total} runs are evaluated.{so_far}")
    passing = tuple(one for one in planned if _outcome(by_condition.get(one, ())) == "PASS")
    hopeful = [one for one in planned if _outcome(by_condition.get(one, ())) == "INCONCLUSIVE"]
    candidates = [one for one in by_condition if one in derived and _outcome(by_condition[one]) == "PASS"]
    exploratory = (
        f" {_names(candidates)} {_verb(candidates, 'passes', 'pass')} every ship blocker, but was made after results were"
        " read: score it on the confirm split before it is shipped."
        if candidates
        else ""
    )
    if passing:
        ship, reasons = _best(passing, comparisons)
        text = f"Ship {ship}: it passes every ship blocker. {reasons}{_others(planned, passing, by_condition)}"
        moved = [one.removeprefix("gate ") for one in changes if one.startswith("gate ")]
        by_plan = f" But gates were moved after the first launch: {_joined(moved)}." if moved else ""
        return Decision("ship", text.strip() + by_plan + exploratory, passing, ship)
    if hopeful:
        text = f"Undecided. {_capital(_undecided(hopeful, by_condition))}."
        rest = _findings(by_condition, comparisons, planned, gate_level, without_inconclusive=True)
        return Decision("undecided", text + (f" {_capital(rest)}." if rest else "") + exploratory)
    return Decision("do not ship", f"Do not ship. {_capital(findings)}.{exploratory}")


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

    It must also be shown not to be worse where nothing may regress.
    """
    ship, reasons = passing[0], list[str]()
    no_better: list[str] = []
    for one in passing[1:]:
        better = [found for found in comparisons if _is_better(found, one, ship)]
        guards = [found for found in comparisons if found.ours == one and found.role == "non-inferiority"]
        open_guards = [found for found in guards if found.reading not in ("not worse", "identical")]
        if not better:
            no_better.append(one)
        elif open_guards:
            names = _joined([_label(found.metric) for found in open_guards])
            gain = _points(better[0])
            reasons.append(f"{one} is better than {ship} ({gain}), but it is not shown that {names} does not regress.")
        else:
            reasons.append(f"{one} is better than {ship} on {_label(better[0].metric)} ({_points(better[0])}).")
            ship, no_better = one, []
    if no_better:
        reasons.append(f"{_names(no_better)} {_verb(no_better, 'is', 'are')} not shown to be better than {ship}.")
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
            found.append(f"{one} {word} {_joined([_label(gate.gate) for gate in failed])}")
    return f"{_joined(found)}." if found else ""


def _undecided(hopeful: Sequence[str], gates: dict[str, list[GateResult]]) -> str:
    """Which gates are open, and what would settle the first of them."""
    opened = [gate for one in hopeful for gate in gates[one] if gate.outcome == "INCONCLUSIVE"]
    texts = [f"{gate.condition}'s {_label(gate.gate)} ({_interval(gate)}, needs {_threshold(gate)})" for gate in opened]
    text = f"{_joined(texts[:MOST_NAMED])} {'neither passes' if len(opened) == 1 else 'neither pass'} nor fail"
    text += "s" if len(opened) == 1 else ""
    if len(opened) > MOST_NAMED:
        text += f", and {len(opened) - MOST_NAMED} more"
    need = opened[0].need
    return text if need is None else f"{text}: {need_text(need)}"


def _findings(
    gates: dict[str, list[GateResult]],
    comparisons: Sequence[Comparison],
    planned: Sequence[str],
    gate_level: float,
    *,
    without_inconclusive: bool = False,
) -> str:
    """Failed gates, differences between conditions, and mean pooling, joined by semicolons."""
    parts = [_gate_finding(gate, gates, planned, gate_level, without_inconclusive) for gate in GATE_NAMES]
    parts += [_differences(comparisons, planned), *_pooling(gates, comparisons, planned)]
    return "; ".join(part for part in parts if part)


def _gate_finding(
    gate: str,
    gates: dict[str, list[GateResult]],
    planned: Sequence[str],
    level: float,
    without_inconclusive: bool,
) -> str:
    known = [one for name in planned for one in gates.get(name, ()) if one.gate == gate and one.interval is not None]
    failed = [one for one in known if one.outcome == "FAIL"]
    opened = [one for one in known if one.outcome == "INCONCLUSIVE" and not without_inconclusive]
    texts = []
    if failed:
        unsure = [one.condition for one in failed if one.fail_p is not None and one.fail_p >= level / 2]
        holm = f", by itself but not over all conditions in {_names(unsure)}" if unsure and len(known) > 1 else ""
        where = _where([one.condition for one in failed], planned)
        ceiling = failed[0].ceiling
        allowed = "" if ceiling is None or ceiling >= failed[0].threshold else f", of {percent(ceiling)} possible"
        texts.append(f"{_label(gate)} fails {where} ({_means(failed)}, needs {_threshold(failed[0])}{allowed}{holm})")
    if opened:
        where = _where([one.condition for one in opened], planned)
        texts.append(f"{_label(gate)} is undecided {where} ({_means(opened)}, needs {_threshold(opened[0])})")
    return "; ".join(texts)


def _differences(comparisons: Sequence[Comparison], planned: Sequence[str]) -> str:
    """Which of the planned conditions differ; those of the plan first, at most two exploratory ones."""
    asked = [one for one in comparisons if one.theirs in planned and one.ours in planned and one.recipe is not None]
    differing = [one for one in asked if one.reading in ("better", "worse")]
    planned_ones = [one for one in differing if one.role != "exploratory"]
    said = {(frozenset((one.ours, one.theirs)), one.metric) for one in planned_ones}
    explored = [
        one
        for one in differing
        if one.role == "exploratory"
        and one.metric in GATE_NAMES
        and (frozenset((one.ours, one.theirs)), one.metric) not in said
    ]
    parts = [_group_text(group) for group in _groups(planned_ones)]
    parts += [f"{_group_text(group)}, exploratory" for group in _groups(explored)[:MOST_NAMED]]
    confirmatory = [one for one in asked if one.role == "confirmatory"]
    if not asked or not (confirmatory or differing):
        return ""
    if not differing:
        if all(one.reading == "identical" for one in asked):
            return "the conditions' items are identical: one observation, nothing to compare"
        if len(planned) == 2:
            return f"{planned[1]} and {planned[0]} are not told apart beyond noise"
        return "no condition differs from another beyond noise"
    if confirmatory and all(one.reading not in ("better", "worse") for one in confirmatory):
        parts.append(f"on {_label(confirmatory[0].metric)} no condition differs from another beyond noise")
    return "; ".join(parts)


def _groups(found: Sequence[Comparison]) -> list[list[Comparison]]:
    """Comparisons that are said together: same other side, metric and reading."""
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for one in found:
        groups.setdefault((one.theirs, one.metric, one.reading), []).append(one)
    return list(groups.values())


def _group_text(group: Sequence[Comparison]) -> str:
    ours = [one.ours for one in group]
    word = "better" if group[0].reading == "better" else "worse"
    changes = ", ".join(_points(one) for one in group)
    return f"{_names(ours)} {_verb(ours, 'is', 'are')} {word} than {group[0].theirs} on {_label(group[0].metric)} ({changes})"


def _pooling(
    gates: dict[str, list[GateResult]], comparisons: Sequence[Comparison], planned: Sequence[str]
) -> list[str]:
    """Gated metrics on which training did not beat frozen mean pooling of the same states."""
    readings = {(one.ours, one.metric): one.reading for one in comparisons if one.theirs == MEAN_POOL}
    parts = []
    for gate in GATE_NAMES:
        below = [
            one.condition
            for name in planned
            for one in gates.get(name, ())
            if one.gate == gate
            and one.interval is not None
            and one.mean_pool is not None
            and one.interval.mean < one.mean_pool
        ]
        surely = [name for name in below if readings.get((name, gate)) == "worse"]
        unsure = [name for name in below if name not in surely]
        if surely:
            parts.append(f"{_label(gate)} is below frozen mean pooling {_where(surely, planned)}")
        if unsure:
            parts.append(f"{_label(gate)} is no better than frozen mean pooling {_where(unsure, planned)}")
    return parts


def _where(conditions: Sequence[str], planned: Sequence[str]) -> str:
    if len(planned) > 1 and len(conditions) == len(planned):
        return "in both conditions" if len(planned) == 2 else "in every condition"
    return f"in {_names(conditions)}"


def _names(conditions: Sequence[str]) -> str:
    if len(conditions) > 2 * MOST_NAMED:
        return f"{', '.join(conditions[: 2 * MOST_NAMED - 1])} and {len(conditions) - 2 * MOST_NAMED + 1} more"
    return _joined(conditions)


def _joined(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}" if texts else ""


def _verb(subjects: Sequence[str], one: str, several: str) -> str:
    return one if len(subjects) == 1 else several


def _means(gates: Sequence[GateResult]) -> str:
    means = sorted({percent(one.interval.mean) for one in gates if one.interval is not None}, key=float)
    return means[0] if len(means) == 1 else f"{means[0]} to {means[-1]}"


def _interval(gate: GateResult) -> str:
    found = gate.interval
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return percent(found.mean)
    return f"{percent(found.mean)} [{percent(found.low)}, {percent(found.high)}]"


def _threshold(gate: GateResult) -> str:
    return f"{100 * gate.threshold:g}"


def _points(found: Comparison) -> str:
    if found.recipe is None:
        return "-"
    if found.metric == "margin":
        return f"{found.recipe.mean:+.3f}"
    return f"{100 * found.recipe.mean:+.1f}"


def _label(metric: str) -> str:
    return METRIC_LABELS.get(metric, metric)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
