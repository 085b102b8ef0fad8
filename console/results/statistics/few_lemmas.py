"""Bounds on shares where nearly no lemma varies, so that a variance says nothing: exact binomial ones, on lemmas.

With all items right the variance is 0 and any interval made of it has no width, which three lemmas and three hundred would
share. Clopper and Pearson's bounds (Biometrika 26, 1934) on as many trials as there are lemmas do not: with n lemmas all right
the lower 95% bound is 0.025^(1/n), about 1 - 3.7/n (one-sided 95%: the rule of three). Items of one lemma count as one trial,
the worst case of clustering; a share between 0 and 1 is as many successes, whole or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv  # type: ignore[import-untyped]

from console.results.statistics.estimates import Floats, SeedScores
from console.results.statistics.lemma_sums import is_binary, item_means

FEW = 5
"""Fewer lemmas than this that vary: the exact bounds count beside the others."""


class FewLemmas(NamedTuple):
    """A share, or a difference of shares, as successes for and against in ``lemmas`` trials.

    Attributes:
        gains: successes; of a difference, what ours alone has right.
        losses: of a difference, what theirs alone has right; None of a share.
    """

    gains: float
    losses: float | None
    lemmas: int

    def low(self, error: float) -> float:
        """Lower bound that is wrong with probability ``error`` at most."""
        if self.losses is None:
            return clopper_pearson_low(self.gains, self.lemmas, error)
        return clopper_pearson_low(self.gains, self.lemmas, error / 2) - clopper_pearson_high(
            self.losses, self.lemmas, error / 2
        )

    def high(self, error: float) -> float:
        if self.losses is None:
            return clopper_pearson_high(self.gains, self.lemmas, error)
        return clopper_pearson_high(self.gains, self.lemmas, error / 2) - clopper_pearson_low(
            self.losses, self.lemmas, error / 2
        )

    def p_greater(self, value: float) -> float:
        """One-sided p of the hypothesis that the true value is ``value`` or less: the error at which ``low`` is there."""
        return _error_where(lambda error: self.low(error) <= value)

    def p_less(self, value: float) -> float:
        return _error_where(lambda error: self.high(error) >= value)


def few_lemmas(ours: SeedScores, theirs: SeedScores | None = None) -> FewLemmas | None:
    """None where enough lemmas vary, or the scores are no shares."""
    if not is_binary(ours) or (theirs is not None and not is_binary(theirs)):
        return None
    means = item_means(ours)
    lemmas = len(np.unique(ours.lemmas))
    weight = lemmas / len(means)
    if theirs is not None:
        differences: Floats = means - item_means(theirs)
        if len(np.unique(ours.lemmas[differences != 0])) >= FEW:
            return None
        gains, losses = (float(np.maximum(part, 0).sum()) * weight for part in (differences, -differences))
        return FewLemmas(gains, losses, lemmas)
    varying = min(len(np.unique(ours.lemmas[part])) for part in (means < 1, means > 0))
    return FewLemmas(float(means.sum()) * weight, None, lemmas) if varying < FEW else None


def clopper_pearson_low(successes: float, trials: int, error: float) -> float:
    if successes <= 1e-9:  # sums of thirds may miss zero
        return 0.0
    return float(betaincinv(successes, trials - successes + 1, error))


def clopper_pearson_high(successes: float, trials: int, error: float) -> float:
    return 1.0 - clopper_pearson_low(trials - successes, trials, error)


def _error_where(reaches: Callable[[float], bool]) -> float:
    """The largest one-sided error at which a bound still ``reaches`` a value; bounds tighten as errors grow."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if reaches(middle):
            low = middle
        else:
            high = middle
    return high
