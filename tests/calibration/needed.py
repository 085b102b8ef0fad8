"""Whether the seeds or items that are said to be needed are enough: simulated with a true effect."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from console.results.statistics.crossed import bootstrap_means, difference_interval
from console.results.statistics.estimates import Interval, Need, VarianceShares
from console.results.statistics.variance import variance_shares, what_is_needed
from tests.calibration.procedures import DRAWS
from tests.calibration.simulate import (
    Setting,
    as_margins,
    draw_conditions,
    draw_lemmas,
    seed_deviation,
    true_shares,
)


class Plan(NamedTuple):
    """A true effect, and what is needed to find it, from the true parts of the variance."""

    setting: Setting
    effect: float
    items: int
    need: Need

    def with_more_seeds(self) -> Setting:
        assert self.need.more_seeds is not None
        return self.setting._replace(seeds=self.setting.seeds + self.need.more_seeds)

    def with_more_items(self) -> Setting:
        assert self.need.items is not None
        return self.setting._replace(lemmas=round(self.setting.lemmas * self.need.items / self.items))


def plan(setting: Setting, errors: float) -> Plan:
    """For an effect of so many standard errors; the effect of a seed stays what it is with other numbers of them."""
    draws = [draw_lemmas(setting, np.random.default_rng([0, number])) for number in range(400)]
    items = round(np.mean([len(lemmas.of_items) for lemmas in draws]))
    setting = setting._replace(seed=float(np.mean([seed_deviation(setting, lemmas) for lemmas in draws])))
    found = [true_shares(setting, lemmas) for lemmas in draws]
    of_lemmas, of_seeds, rest = np.mean([(one.lemmas, one.seeds, one.rest) for one in found], axis=0).tolist()
    shares = VarianceShares(of_lemmas, of_seeds, rest)
    error = math.sqrt(shares.total)
    effect = errors * error
    interval = Interval(
        effect, effect - 3 * error, effect + 3 * error, error, "t", setting.seeds, setting.lemmas, items
    )
    return Plan(setting, effect, items, what_is_needed(interval, shares, 0.0))


class Trial(NamedTuple):
    """One experiment with a true effect: whether it is found, and what it says is needed."""

    is_found: bool
    need: Need
    items: int


def trial(setting: Setting, effect: float, number: int) -> Trial:
    stream = np.random.default_rng([number, setting.seeds, setting.lemmas])
    lemmas = draw_lemmas(setting, stream)
    theirs, ours = (
        as_margins(draw.margins, lemmas) for draw in draw_conditions(setting, lemmas, stream, (0.0, effect))
    )
    means = bootstrap_means({"A": theirs, "B": ours}, DRAWS, number)
    interval = difference_interval(ours, theirs, means["B"], means["A"])
    assert interval.low is not None
    need = what_is_needed(interval, variance_shares(ours, theirs), 0.0)
    return Trial(interval.low > 0, need, len(lemmas.of_items))


def power(setting: Setting, effect: float, trials: int) -> float:
    """Share of experiments that find ``effect``."""
    return sum(trial(setting, effect, number).is_found for number in range(trials)) / trials
