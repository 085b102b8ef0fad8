"""What is found in gates and comparisons, as parts of a sentence: failed gates, differences, mean pooling. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from console.format import metric_label, percent
from console.results.analysis.gate_results import is_below_pooling
from console.results.analysis.records import MEAN_POOL, Comparison, GateResult
from console.results.statistics.estimates import Interval
from engine.contract.metrics import GATE_NAMES

MOST_NAMED = 2


def findings(
    gates: Mapping[str, Sequence[GateResult]],
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
    gates: Mapping[str, Sequence[GateResult]],
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
        holm = f", by itself but not over all conditions in {names_text(unsure)}" if unsure and len(known) > 1 else ""
        where = _where([one.condition for one in failed], planned)
        ceiling = failed[0].ceiling
        allowed = "" if ceiling is None or ceiling >= failed[0].threshold else f", of {percent(ceiling)} possible"
        texts.append(
            f"{metric_label(gate)} fails {where} ({_means(failed)}, needs {threshold_text(failed[0])}{allowed}{holm})"
        )
    if opened:
        where = _where([one.condition for one in opened], planned)
        texts.append(f"{metric_label(gate)} is undecided {where} ({_means(opened)}, needs {threshold_text(opened[0])})")
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
    said_metrics = {one.metric for one in (*planned_ones, *explored)}
    if confirmatory and confirmatory[0].metric not in said_metrics:
        parts.append(f"on {metric_label(confirmatory[0].metric)} no condition differs from another beyond noise")
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
    changes = ", ".join(points_text(one) for one in group)
    on = metric_label(group[0].metric)
    return f"{names_text(ours)} {verb(ours, 'is', 'are')} {word} than {group[0].theirs} on {on} ({changes})"


def _pooling(
    gates: Mapping[str, Sequence[GateResult]], comparisons: Sequence[Comparison], planned: Sequence[str]
) -> list[str]:
    """Gated metrics on which training did not beat frozen mean pooling of the same states."""
    readings = {(one.ours, one.metric): one.reading for one in comparisons if one.theirs == MEAN_POOL}
    parts = []
    for gate in GATE_NAMES:
        below = [
            one.condition
            for name in planned
            for one in gates.get(name, ())
            if one.gate == gate and is_below_pooling(one)
        ]
        surely = [name for name in below if readings.get((name, gate)) == "worse"]
        unsure = [name for name in below if name not in surely]
        if surely:
            parts.append(f"{metric_label(gate)} is below frozen mean pooling {_where(surely, planned)}")
        if unsure:
            parts.append(f"{metric_label(gate)} is not above frozen mean pooling {_where(unsure, planned)}")
    return parts


def _where(conditions: Sequence[str], planned: Sequence[str]) -> str:
    if len(planned) > 1 and len(conditions) == len(planned):
        return "in both conditions" if len(planned) == 2 else "in every condition"
    return f"in {names_text(conditions)}"


def names_text(conditions: Sequence[str]) -> str:
    """``A, B and C``; of many the first ones, and how many more there are."""
    if len(conditions) > 2 * MOST_NAMED:
        return f"{', '.join(conditions[: 2 * MOST_NAMED - 1])} and {len(conditions) - 2 * MOST_NAMED + 1} more"
    return joined(conditions)


def joined(texts: Sequence[str]) -> str:
    """``texts`` as an enumeration: commas, and "and" before the last."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}" if texts else ""


def verb(subjects: Sequence[str], one: str, several: str) -> str:
    """The form of a verb that fits the number of ``subjects``."""
    return one if len(subjects) == 1 else several


def _means(gates: Sequence[GateResult]) -> str:
    means = sorted({percent(one.interval.mean) for one in gates if one.interval is not None}, key=float)
    return means[0] if len(means) == 1 else f"{means[0]} to {means[-1]}"


def threshold_text(gate: GateResult) -> str:
    """The gate's threshold in percent: ``80``."""
    return f"{100 * gate.threshold:g}"


def gate_text(gate: GateResult) -> str:
    """``coherence (71.2 [69.0, 73.4], needs 80)``."""
    return f"{metric_label(gate.gate)} ({_interval_text(gate.interval)}, needs {threshold_text(gate)})"


def _interval_text(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    if interval.low is None or interval.high is None:
        return percent(interval.mean)
    return f"{percent(interval.mean)} [{percent(interval.low)}, {percent(interval.high)}]"


def points_text(found: Comparison) -> str:
    """The difference with its sign: ``+4.0`` points, of margins ``+0.031``."""
    if found.recipe is None:
        return "-"
    if found.metric == "margin":
        return f"{found.recipe.mean:+.3f}"
    return f"{100 * found.recipe.mean:+.1f}"
