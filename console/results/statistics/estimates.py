"""Records of the statistics: scores by seed and item, and what is estimated from them.

Scores are in the unit of their metric: fractions of 1, or differences of cosines for margins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:  # screens import these records before the first paint, where numpy would be felt
    import numpy as np
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]
    Integers: TypeAlias = npt.NDArray[np.intp]
else:
    Floats = Integers = Any

Side: TypeAlias = Literal["two-sided", "greater", "less"]
"""What a test may conclude: that the true value is another one, a greater one, or a smaller one."""


class SeedScores(NamedTuple):
    """One metric of one condition, item by item.

    Attributes:
        seeds: S of them; one without a meaning for a model that has no seeds.
        values: (S, N), the metric on each of N items: 1.0 or 0.0 for right or wrong, or a margin.
        lemmas: (N,), number of each item's lemma, from 0.
        is_fixed: the model has no seeds, as frozen mean pooling: its only row varies with the items alone.
    """

    seeds: tuple[int, ...]
    values: Floats
    lemmas: Integers
    is_fixed: bool = False


class Interval(Struct, frozen=True):
    """Mean score, or difference of two, with its two-sided confidence interval.

    Attributes:
        low, high, standard_error: None where they cannot be told, as with a single lemma.
        method: what gave the interval, the wider of those that apply: the crossed ``bootstrap`` over lemmas and seeds,
            Student's ``t`` with moment-based error and Satterthwaite's freedom, ``lemmas``, which knows nothing about
            new seeds, or ``exact`` (binomial, on lemmas) where nearly no lemma varies; ``none`` without interval.
        level: coverage.
        seeds: of the side that has fewer; 1 where nothing is known about other seeds, 0 where no side has any.
    """

    mean: float
    low: float | None
    high: float | None
    standard_error: float | None
    method: Literal["bootstrap", "t", "lemmas", "exact", "none"]
    seeds: int
    lemmas: int
    items: int
    level: float = 0.95
    freedom: float | None = None


class VarianceShares(Struct, frozen=True):
    """The parts of the squared standard error of a mean or difference that lemmas, seeds and their interaction give.

    A part that the moments estimate below zero is 0. ``lemmas`` shrinks with more lemmas, ``seeds`` with more seeds,
    ``rest`` with either. ``sides`` is how many of the compared models have seeds.
    """

    lemmas: float
    seeds: float
    rest: float
    sides: int = 2

    @property
    def total(self) -> float:
        return self.lemmas + self.seeds + self.rest


class Need(Struct, frozen=True):
    """What would settle whether a mean or difference is on one side of a value.

    Attributes:
        settled: the interval excludes the value already.
        resolvable: smallest distance from the value that such data find four times in five.
        seeds_floor: half of the interval's width with any number of seeds; None where the seeds' part is unknown.
        more_seeds: further seeds for each condition that would settle it; None: no reasonable number would.
        items: evaluation items in all, of proportionally more lemmas, that would; None: no reasonable number would.
        both: further seeds and items in all that would together, where neither does alone; None: none would.
        knows_seeds: False with one seed: all is about these trained models, whatever other seeds would bring.
    """

    settled: bool
    resolvable: float | None
    seeds_floor: float | None = None
    more_seeds: int | None = None
    items: int | None = None
    both: tuple[int, int] | None = None
    knows_seeds: bool = True


class LemmaTest(Struct, frozen=True):
    """Whether these trained models differ on new lemmas: seeds averaged per item, signs of whole lemmas flipped."""

    interval: Interval
    p: float | None


class PairedT(Struct, frozen=True):
    """Paired t-test over seeds of ``ours`` minus ``theirs``, with Welch's beside it.

    Attributes:
        differences: one a pair of seeds, in the order of ``seeds``.
        t, freedom, p: None with fewer than two pairs or without any variance, which ``note`` says.
        effect: Cohen's d_z with Hedges' correction.
        detectable: effect, in standard deviations of the differences, that n pairs find four times in five at 5%.
    """

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    mean: float | None
    deviation: float | None
    t: float | None
    freedom: int | None
    p: float | None
    effect: float | None
    detectable: float | None
    welch_t: float | None = None
    welch_freedom: float | None = None
    welch_p: float | None = None
    holm_p: float | None = None
    note: str = ""

    @property
    def pairs(self) -> int:
        return len(self.differences)


class McNemar(Struct, frozen=True):
    """Exact McNemar test on items that a majority of seeds got right: ``ours_only`` against ``theirs_only``."""

    ours_only: int
    theirs_only: int
    p: float
