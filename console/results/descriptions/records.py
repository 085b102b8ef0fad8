"""What the runs of an experiment show beside the decision, as plain records: failures, margins, training, attention."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from console.results.statistics.estimates import Interval, LemmaTest

Kind = Literal["retrieval", "coherence"]
AttentionMeasure = Literal["entropy", "lemma_mass", "cue_mass"]
NAMED_LEVEL = 0.05
"""Adjusted p below which a group of items is said to differ from the others."""


class FailureGroup(Struct, frozen=True):
    """Items of one kind and one condition that share a value of a facet.

    Attributes:
        accuracy: share ranked right, over new lemmas and new seeds.
        mean_pool, chance: the same share of frozen mean pooling, and of guessing.
        failed: items that fail, mean over seeds.
        excess: failures beyond those at the rate of the condition's other items; 0 where there are no others.
        p: two-sided, that the group's accuracy is that of the others; None where it cannot be told.
        adjusted_p: Benjamini-Hochberg over the groups of the condition that are large enough to be named.
    """

    facet: str
    value: str
    items: int
    lemmas: int
    accuracy: Interval
    mean_pool: float
    chance: float
    failed: float
    excess: float
    p: float | None = None
    adjusted_p: float | None = None

    @property
    def is_named(self) -> bool:
        """Whether it may be said to fail most: it is large enough, and its excess is beyond noise."""
        return self.excess > 0 and self.adjusted_p is not None and self.adjusted_p < NAMED_LEVEL


class KindFailures(Struct, frozen=True):
    """Failures of one condition among retrieval items (top-1) or coherence steps.

    Attributes:
        groups: by facet, in the order of ``FACETS``.
        unknown: facets of which no item says its value.
        worst_lemmas: those with the most failures beyond the rate of the others.
    """

    kind: Kind
    overall: FailureGroup
    groups: tuple[FailureGroup, ...]
    unknown: tuple[str, ...] = ()
    worst_lemmas: tuple[FailureGroup, ...] = ()

    @property
    def worst(self) -> FailureGroup | None:
        """The group that fails most; None where no group differs from the others beyond noise."""
        return max((one for one in self.groups if one.is_named), key=lambda one: one.excess, default=None)


class ReasonCount(Struct, frozen=True):
    """How many items a condition fails badly for one reason: mean over ``n`` seeds and their standard deviation."""

    reason: str
    mean: float
    sd: float | None
    n: int


class ConditionFailures(Struct, frozen=True):
    """What fails in one condition over its ``seeds``.

    Attributes:
        evaluation: fingerprint of what it was scored on.
        kinds: retrieval, then coherence; those that it was scored on.
        killers: of the frozen killer set, all and by reason code; empty where there is none or it is not known.
        reasons: of the items that the condition's own heads fail badly.
        summary: what fails most, one sentence.
        tiers: which tier fails most, one sentence; "" without tiers.
    """

    condition: str
    evaluation: str
    seeds: tuple[int, ...]
    kinds: tuple[KindFailures, ...]
    killers: tuple[FailureGroup, ...] = ()
    reasons: tuple[ReasonCount, ...] = ()
    summary: str = ""
    tiers: str = ""


class Quantile(Struct, frozen=True):
    """A quantile of the items' margins: mean over ``n`` seeds and their standard deviation, None with fewer than two."""

    mean: float
    sd: float | None
    n: int


class MarginDistribution(Struct, frozen=True):
    """Margins of one condition: best right candidate minus best wrong one, in cosine similarity; right when above 0.

    Attributes:
        mean: over new lemmas and new seeds.
        edges: of the histogram's bins, one more than these; the same for all conditions of a kind, even around 0.
        counts: items in each bin, mean over seeds, so that they add up to the number of items.
        mean_pool_mean, mean_pool_counts: of frozen mean pooling.
    """

    condition: str
    kind: Kind
    items: int
    lemmas: int
    mean: Interval
    p5: Quantile
    p95: Quantile
    edges: tuple[float, ...]
    counts: tuple[float, ...]
    mean_pool_mean: float
    mean_pool_counts: tuple[float, ...]


class SeedPoint(Struct, frozen=True):
    """A quantity at one place of training: mean over ``n`` seeds and their sample standard deviation.

    ``sd`` is None with fewer than two seeds. ``epoch`` is in epochs done, the mean of the seeds'.
    """

    epoch: float
    mean: float
    sd: float | None
    n: int

    @property
    def variance(self) -> float | None:
        return None if self.sd is None else self.sd**2


class Convergence(Struct, frozen=True):
    """When one run's development score first reached the threshold: None where it did not until ``last_epoch``."""

    seed: int
    epoch: float | None
    step: int | None
    last_epoch: float
    last_step: int


class ConditionTraining(Struct, frozen=True):
    """Training of one condition over its counted seeds that recorded events.

    Attributes:
        training_loss: mean loss of the steps of each tenth of training, in order; its end is the last.
        development_loss, development_score, entropy: at each measurement. The entropy is that of attention on development
            texts, relative to log T, so 1.0 is uniform.
        convergence: one for each seed with a measurement.
        median_epoch: of the epochs to the threshold, those that did not reach it counting as later than all others; None
            where fewer than half did.
        warnings: how many of each kind, over seeds.
        negative_gaps: share of hard pairs with a negative gap at each early warning.
    """

    condition: str
    seeds: tuple[int, ...]
    training_loss: tuple[SeedPoint, ...] = ()
    development_loss: tuple[SeedPoint, ...] = ()
    development_score: tuple[SeedPoint, ...] = ()
    entropy: tuple[SeedPoint, ...] = ()
    convergence: tuple[Convergence, ...] = ()
    median_epoch: float | None = None
    warnings: dict[str, int] = {}
    negative_gaps: tuple[SeedPoint, ...] = ()

    @property
    def reached(self) -> int:
        return sum(one.epoch is not None for one in self.convergence)


class RunTime(Struct, frozen=True):
    """Wall time of one run in s, ``total`` and by stage, over all its processes; it need not have finished."""

    condition: str
    seed: int
    total: float
    stages: dict[str, float]


class PlannedTime(Struct, frozen=True):
    """A part of the experiment: what the timeline says and what was measured, in s; None where no run records it."""

    part: str
    planned: float
    measured: float | None
    note: str = ""


class TrainingSummary(Struct, frozen=True):
    """Training of all conditions.

    Attributes:
        threshold: of the development score, a fraction of 1; None: each run's is the score of frozen mean pooling.
        score_name: what that score is, in words; "" where runs differ or none says.
        problems: files that could not be used, each a line that begins with the run.
    """

    conditions: tuple[ConditionTraining, ...]
    threshold: float | None
    score_name: str
    times: tuple[RunTime, ...]
    timeline: tuple[PlannedTime, ...]
    problems: tuple[str, ...] = ()


class ConditionAttention(Struct, frozen=True):
    """Attention of one condition's heads on the probes, over its seeds that recorded it.

    Attributes:
        probes, lemmas: what every seed has.
        entropy, lemma_mass, cue_mass: mean over probes at each measurement; entropy is relative to log T, so 1.0 is
            uniform, masses are shares of the attention. Empty where it is not known.
        evaluated: the same at the measurement whose head was evaluated.
    """

    condition: str
    seeds: tuple[int, ...]
    probes: int
    lemmas: int
    entropy: tuple[SeedPoint, ...]
    lemma_mass: tuple[SeedPoint, ...]
    cue_mass: tuple[SeedPoint, ...]
    evaluated: dict[AttentionMeasure, SeedPoint]


class AttentionComparison(Struct, frozen=True):
    """``ours`` minus ``theirs`` on the same ``probes``, of the heads that were evaluated, seeds averaged.

    ``adjusted_p`` is Benjamini-Hochberg over all attention comparisons; None where there is no test.
    """

    ours: str
    theirs: str
    measure: AttentionMeasure
    probes: int
    test: LemmaTest
    adjusted_p: float | None = None


class ProbeAttention(Struct, frozen=True):
    """Attention on the tokens of one probe, in each condition that splits it alike, mean over seeds; safe to show.

    Attributes:
        weights: by condition, one for each token; they add up to 1.
        seeds: how many, by condition.
    """

    item_id: str
    lemma: str
    text: str
    tokens: tuple[str, ...]
    weights: dict[str, tuple[float, ...]]
    seeds: dict[str, int]


class AttentionReport(Struct, frozen=True):
    """Attention compared between conditions; ``shown`` are the probes on which they differ most, the first most."""

    conditions: tuple[ConditionAttention, ...] = ()
    comparisons: tuple[AttentionComparison, ...] = ()
    shown: tuple[ProbeAttention, ...] = ()
