"""The decision as plain records: gates with intervals, comparisons, expected outcomes, what is next; every output reads these.

``analysis.analyze.analyze`` makes them from the loaded runs; screen, text, JSON, Markdown, LaTeX, CSV and HTML show them.
Metrics are called ``retrieval_top1``, ``retrieval_top3``, ``coherence_accuracy``, ``margin``, the name of a tier for top-1
in it, and ``killers`` for top-1 on the frozen killers.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from console.results.statistics.estimates import Interval, LemmaTest, McNemar, Need, PairedT

GateOutcome = Literal["PASS", "FAIL", "INCONCLUSIVE", "MISSING"]
Reading = Literal["better", "worse", "not told apart", "not worse", "undecided", "identical", "missing"]
Role = Literal["confirmatory", "non-inferiority", "exploratory"]
OutcomeReading = Literal["met", "missed", "exceeded", "undecided", "missing"]

MEAN_POOL = "mean_pool"
"""In place of a condition's name where frozen mean pooling of the condition's own states is meant."""


class GateResult(Struct, frozen=True):
    """One ship blocker of one condition.

    Attributes:
        interval: over new lemmas and new seeds; None where no run is counted.
        point_passed: whether the mean reaches the threshold, as ``--strict`` judges run by run.
        fail_p: one-sided p that the true value reaches the threshold, Holm-adjusted over the conditions of this gate.
        pass_p: one-sided p that the true value is below the threshold, of this gate and condition alone.
        chance, word_overlap, mean_pool, ceiling: references on the same items, fractions of 1; None where unknown.
        warnings: what makes the gate doubtful, in words, such as a threshold below chance.
        need: what would settle it.
    """

    condition: str
    gate: str
    threshold: float
    outcome: GateOutcome
    interval: Interval | None = None
    point_passed: bool = False
    fail_p: float | None = None
    chance: float | None = None
    word_overlap: float | None = None
    mean_pool: float | None = None
    ceiling: float | None = None
    warnings: tuple[str, ...] = ()
    need: Need | None = None
    pass_p: float | None = None


class Comparison(Struct, frozen=True):
    """``ours`` minus ``theirs`` on one metric.

    Attributes:
        role: fixed by the plan before the first launch, or exploratory.
        reading: what a person may conclude at the plan's level.
        recipe: is this recipe better? Over new lemmas and new seeds; the headline.
        models: are these trained models better on new lemmas?
        p: two-sided for the recipe; one-sided against ``margin`` for non-inferiority.
        adjusted_p: Holm over the confirmatory ones, Benjamini-Hochberg over the exploratory ones.
        adjustment: which of them, such as ``Holm over 2``.
        probability: share of seed pairs in which ours is above theirs, ties as a half.
        identical_seeds: runs of either side whose items equal another run's: one observation, not two.
    """

    ours: str
    theirs: str
    metric: str
    role: Role
    reading: Reading
    recipe: Interval | None = None
    models: LemmaTest | None = None
    p: float | None = None
    adjusted_p: float | None = None
    adjustment: str = ""
    margin: float | None = None
    probability: float | None = None
    paired_t: PairedT | None = None
    mcnemar: McNemar | None = None
    need: Need | None = None
    identical_seeds: tuple[str, ...] = ()


class OutcomeResult(Struct, frozen=True):
    """An expected outcome and the interval that it is compared with; ``least``, ``most``: fractions of 1, None where open."""

    condition: str
    over: str
    metric: str
    least: float | None
    most: float | None
    interval: Interval | None
    reading: OutcomeReading


class PlanStatus(Struct, frozen=True):
    """What was to be compared, and what has changed since the first launch.

    Attributes:
        fingerprint: SHA-256 of the plan; "" while nothing was launched, when the experiment's present plan counts.
        written_at: UTC, ISO 8601.
        changes: later changes of gates, margins or comparisons, in words.
        looks: how often results were read with other seeds; the level is ``level``, 0.05 divided by it.
        notes: what else weakens the plan, such as that it was written late; ``Analysis.warnings`` has them too.
    """

    fingerprint: str = ""
    written_at: str = ""
    changes: tuple[str, ...] = ()
    looks: int = 1
    level: float = 0.05
    notes: tuple[str, ...] = ()


class Analysis(Struct, frozen=True):
    """The decision on one profile.

    Attributes:
        verdict: ``ship`` where a condition passes every gate, ``do not ship`` where each fails one, else ``undecided``.
        summary: one or two sentences for a person, first on every output.
        shippable: conditions that pass every gate.
        results_fingerprint: SHA-256 of what the numbers were computed from: manifests or items of all counted runs, gates
            and plan; a recorded decision names it.
    """

    verdict: Literal["ship", "do not ship", "undecided", "incomplete"]
    summary: str
    shippable: tuple[str, ...] = ()
    gates: tuple[GateResult, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    outcomes: tuple[OutcomeResult, ...] = ()
    plan: PlanStatus = PlanStatus()
    warnings: tuple[str, ...] = ()
    results_fingerprint: str = ""
