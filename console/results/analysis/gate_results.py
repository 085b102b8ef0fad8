"""Verdicts on the ship blockers with intervals, beside chance, word overlap, frozen mean pooling and the ceiling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from console.format import GATE_LABELS, percent
from console.results.analysis.condition_scores import ConditionScores
from console.results.analysis.records import GateOutcome, GateResult
from console.results.statistics.estimates import Interval
from console.results.statistics.multiplicity import holm
from console.results.statistics.variance import variance_shares, what_is_needed
from engine.contract.experiment import Gates
from engine.contract.metrics import GATE_NAMES


def gate_results(
    scores: ConditionScores, conditions: Iterable[str], gates: Gates, level: float
) -> tuple[GateResult, ...]:
    """The verdict on each ship blocker for each of ``conditions``; MISSING without counted runs.

    A gate is decided by its interval of coverage 1 - ``level``.
    """
    wanted = [(condition, gate) for condition in conditions for gate in GATE_NAMES]
    found = {
        (condition, gate): _gate_result(scores, condition, gate, float(getattr(gates, gate)), level)
        for condition, gate in wanted
    }
    for gate in GATE_NAMES:
        tested = [key for key, one in found.items() if key[1] == gate and one.fail_p is not None]
        adjusted = holm([one.fail_p for key in tested if (one := found[key]).fail_p is not None])
        for key, p in zip(tested, adjusted, strict=True):
            found[key] = replace(found[key], fail_p=p)
    return tuple(found.values())


def _gate_result(scores: ConditionScores, condition: str, gate: str, threshold: float, level: float) -> GateResult:
    interval = scores.interval(condition, gate, level)
    own = scores.scores(condition, gate)
    if interval is None or own is None:
        return GateResult(condition, gate, threshold, "MISSING")
    result = GateResult(
        condition,
        gate,
        threshold,
        gate_outcome(interval, threshold),
        interval,
        point_passed=interval.mean >= threshold,
        fail_p=scores.p(condition, gate, threshold, "less"),
        chance=scores.chance(condition, gate),
        word_overlap=scores.word_overlap(condition, gate),
        mean_pool=scores.mean_pool(condition, gate),
        ceiling=scores.ceiling(condition, gate),
        need=what_is_needed(interval, variance_shares(own), threshold, level),
        pass_p=scores.p(condition, gate, threshold, "greater"),
    )
    return replace(result, warnings=tuple(gate_warnings(result)))


def gate_outcome(interval: Interval, threshold: float) -> GateOutcome:
    """PASS where the interval's lower bound reaches the threshold, FAIL where its upper bound does not."""
    if interval.low is None or interval.high is None:
        return "INCONCLUSIVE"
    return "PASS" if interval.low >= threshold else "FAIL" if interval.high < threshold else "INCONCLUSIVE"


def gate_warnings(gate: GateResult) -> Iterator[str]:
    """What makes a gate or the score under it doubtful, in words."""
    yield from threshold_warnings(gate)
    if is_below_pooling(gate):
        yield below_pooling_text([gate])


def threshold_warnings(gate: GateResult) -> Iterator[str]:
    """What makes a threshold doubtful, whichever condition is judged by it."""
    label, needs = GATE_LABELS.get(gate.gate, gate.gate), f"{100 * gate.threshold:g}"
    if gate.ceiling is not None and gate.threshold > gate.ceiling:
        yield f"{label} needs {needs}, above the {percent(gate.ceiling)} that this evaluation allows: nothing can pass"
    if gate.chance is not None and gate.threshold <= gate.chance:
        yield f"{label} needs {needs}, which guessing reaches ({percent(gate.chance)}): passing it shows nothing"
    elif gate.mean_pool is not None and gate.threshold <= gate.mean_pool:
        yield f"{label} needs {needs}, which frozen mean pooling reaches untrained ({percent(gate.mean_pool)})"


def is_below_pooling(gate: GateResult) -> bool:
    """Whether the condition's mean is below that of frozen mean pooling of the same states."""
    return gate.interval is not None and gate.mean_pool is not None and gate.interval.mean < gate.mean_pool


def below_pooling_text(gates: Sequence[GateResult]) -> str:
    """``top-3 is below frozen mean pooling of the same states: A 76.8 (80.8), B 78.8 (80.8)``, for one gate."""
    scores = [
        f"{one.condition} {percent(one.interval.mean)} ({percent(one.mean_pool)})"
        for one in gates
        if one.interval is not None
    ]
    label = GATE_LABELS.get(gates[0].gate, gates[0].gate)
    return f"{label} is below frozen mean pooling of the same states: {', '.join(scores)}"
