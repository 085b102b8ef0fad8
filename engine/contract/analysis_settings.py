"""What the results of an experiment are judged by: comparisons, margins, expected outcomes, timeline.

No number of a run depends on it. Points are percentage points: 2.0 is 0.02 of a score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta, Struct

Metric = Literal["retrieval_top1", "retrieval_top3", "coherence_accuracy"]
GuardedMetric = Literal[
    "retrieval_top1", "retrieval_top3", "coherence_accuracy", "tier1_easy", "tier2_robust", "tier3_adversarial"
]
Points = Annotated[float, Meta(ge=-100.0, le=100.0)]
Margin = Annotated[float, Meta(gt=0.0, le=100.0)]
Level = Annotated[float, Meta(ge=0.001, le=0.5)]
Minutes = Annotated[float, Meta(gt=0.0, le=1e6)]


class AnalysisSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The table ``[analysis]`` of an experiment: which differences are tested, at which level, within which margins.

    Attributes:
        metric: what the confirmatory comparisons are about.
        comparisons: pairs such as ``["B", "A"]``, B minus A; None compares each condition with the one before it.
        control: the condition against which nothing may regress; None is the first condition.
        must_not_regress: metrics in which no condition may be worse than the control by ``margin_points`` or more.
        level: of the two-sided tests of the comparisons; one-sided tests have half of it.
        gate_level: a gate is decided by its two-sided interval of coverage 1 - ``gate_level``.
        convergence_points: development score that counts as learned, for epochs to threshold; None is that of frozen
            mean pooling.
    """

    metric: Metric = "retrieval_top1"
    comparisons: tuple[tuple[str, str], ...] | None = None
    control: str | None = None
    must_not_regress: tuple[GuardedMetric, ...] = ("tier1_easy", "coherence_accuracy")
    margin_points: Margin = 2.0
    level: Level = 0.05
    gate_level: Level = 0.05
    convergence_points: Annotated[float, Meta(gt=0.0, le=100.0)] | None = None

    def pairs(self, conditions: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """The confirmatory comparisons among ``conditions``, each as ours and theirs."""
        if self.comparisons is None:
            return tuple((ours, theirs) for theirs, ours in pairwise(conditions))
        return tuple((ours, theirs) for ours, theirs in self.comparisons if {ours, theirs} <= {*conditions})

    def control_of(self, conditions: tuple[str, ...]) -> str | None:
        """The control among ``conditions``; None without one."""
        if self.control is None:
            return conditions[0] if conditions else None
        return self.control if self.control in conditions else None


class Timeline(Struct, frozen=True, forbid_unknown_fields=True):
    """What the plan says that the experiment takes, in minutes: measured times are shown beside it.

    ``set_up`` is before the first run, ``run`` each run, ``total`` all of it, ``analysis`` after the last run.
    """

    set_up: Minutes = 30.0
    run: Minutes = 40.0
    total: Minutes = 420.0
    analysis: Minutes = 60.0


class Expectation(Struct, frozen=True):
    """An expected score or difference in points: at least ``least``, at most ``most`` (None: any more)."""

    metric: str
    least: float
    most: float | None


# not tuple[Points, Points]: in a union with a number that has bounds, msgspec 0.22 reads a wrong length from memory
ExpectedRange = Points | Annotated[tuple[Points, ...], Meta(min_length=2, max_length=2)]


class ExpectedOutcome(Struct, frozen=True, forbid_unknown_fields=True):
    """A table ``[outcomes.X]``: what condition X is expected to gain ``over`` another, or without it, to score.

    A range such as ``[2, 5]`` is in points; a single number is the least.
    """

    over: str | None = None
    retrieval_top1: ExpectedRange | None = None
    retrieval_top3: ExpectedRange | None = None
    coherence_accuracy: ExpectedRange | None = None
    tier1_easy: ExpectedRange | None = None
    tier2_robust: ExpectedRange | None = None
    tier3_adversarial: ExpectedRange | None = None

    def expectations(self) -> Iterator[Expectation]:
        """The expected range of each metric that the table names, in points."""
        for metric in self.__struct_fields__[1:]:
            match getattr(self, metric):
                case (least, most):
                    yield Expectation(metric, least, most)
                case float(least):
                    yield Expectation(metric, least, None)


def analysis_mistakes(
    conditions: Collection[str], analysis: AnalysisSettings, outcomes: Mapping[str, ExpectedOutcome]
) -> Iterator[tuple[str, str]]:
    """Field and message of each mistake in the two tables that the types do not rule out."""
    named = [("analysis.comparisons", name) for pair in analysis.comparisons or () for name in pair]
    named += [("analysis.control", analysis.control)] if analysis.control is not None else []
    for name, outcome in outcomes.items():
        named.append((f"outcomes.{name}", name))
        named += [(f"outcomes.{name}.over", outcome.over)] if outcome.over is not None else []
    for field, name in named:
        if name not in conditions:
            yield field, f"no condition {name!r}; known: {', '.join(conditions) or 'none'}"
    for (ours, theirs), times in Counter(tuple(sorted(pair)) for pair in analysis.comparisons or ()).items():
        if ours == theirs:
            yield "analysis.comparisons", f"{ours!r} is compared with itself"
        elif times > 1:
            yield "analysis.comparisons", f"{ours!r} and {theirs!r} are compared {times} times"
    for metric, times in Counter(analysis.must_not_regress).items():
        if times > 1:
            yield "analysis.must_not_regress", f"{metric!r} is named {times} times"
    for name, outcome in outcomes.items():
        yield from ((f"outcomes.{name}{field}", message) for field, message in _outcome_mistakes(name, outcome))


def _outcome_mistakes(name: str, outcome: ExpectedOutcome) -> Iterator[tuple[str, str]]:
    if outcome.over == name:
        yield ".over", "a condition is not expected to gain over itself"
    expected = tuple(outcome.expectations())
    if not expected:
        yield "", "nothing is expected: name a metric, such as retrieval_top1 = [2, 5]"
    for one in expected:
        if one.most is not None and one.least > one.most:
            yield f".{one.metric}", f"from {one.least:g} to {one.most:g} points is no range"
        elif outcome.over is None and one.least < 0:
            yield f".{one.metric}", "a score is not below 0; a difference needs `over`"
