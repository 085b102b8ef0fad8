"""The recipe's interval by lists and loops: crossed bootstrap, analysis of variance by moments, and the wider of the two."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist, variance
from typing import NamedTuple

from scipy import stats  # type: ignore[import-untyped]

Table = Sequence[Sequence[float]]
"""(seeds, items)."""


def plain_crossed_bootstrap(ours: Table, theirs: Table, lemmas: Sequence[object], draws: int, seed: int) -> list[float]:
    """Differences of means: lemmas drawn for both sides, seeds for each side by itself; one row is a fixed model."""
    stream = random.Random(seed)
    names = sorted(set(lemmas), key=str)
    items = {name: [n for n, one in enumerate(lemmas) if one == name] for name in names}
    found = []
    for _ in range(draws):
        drawn = [n for name in stream.choices(names, k=len(names)) for n in items[name]]
        means = []
        for table in (ours, theirs):
            rows = stream.choices(table, k=len(table))
            means.append(math.fsum(row[n] for row in rows for n in drawn) / (len(rows) * len(drawn)))
        found.append(means[0] - means[1])
    return found


class MomentInterval(NamedTuple):
    mean: float
    error: float
    half: float


def plain_moments(ours: Table, theirs: Table, lemmas: Sequence[object]) -> MomentInterval:
    """Mean, standard error and half of the 95% t interval of ours minus theirs; a table of one row is a fixed model."""
    names, items = sorted(set(lemmas), key=str), len(lemmas)
    count = len(names)

    def residuals(row: Sequence[float]) -> list[float]:
        own = math.fsum(row) / items
        return [
            math.fsum(value - own for value, one in zip(row, lemmas, strict=True) if one == name) / items
            for name in names
        ]

    mean, combined = 0.0, [0.0] * count
    between, within = [], []
    for table, sign in ((ours, 1), (theirs, -1)):
        seeds = len(table)
        of_seeds = [math.fsum(row) / items for row in table]
        mean += sign * math.fsum(of_seeds) / seeds
        rows = [residuals(row) for row in table]
        averaged = [math.fsum(column) / seeds for column in zip(*rows, strict=True)]
        combined = [one + sign * other for one, other in zip(combined, averaged, strict=True)]
        if seeds > 1:
            left = math.fsum((value - averaged[n]) ** 2 for row in rows for n, value in enumerate(row))
            between.append((variance(of_seeds) / seeds, seeds - 1))
            within.append((count / (count - 1) * left / (seeds - 1) / seeds, (seeds - 1) * (count - 1)))
    over = (count / (count - 1) * math.fsum(one * one for one in combined), count - 1)
    sum_between, sum_within = (math.fsum(one for one, _ in part) for part in (between, within))
    has_lemmas, has_seeds = over[0] > sum_within, sum_between > sum_within
    total = max(0, over[0] - sum_within) + max(0, sum_between - sum_within) + sum_within
    terms = [over] if has_lemmas else [] if has_seeds else [(sum_within, count - 1)]
    terms += between if has_seeds else []
    terms += within if has_lemmas and has_seeds else []
    freedom = total**2 / math.fsum(term**2 / degrees for term, degrees in terms)
    return MomentInterval(mean, math.sqrt(total), float(stats.t.ppf(0.975, freedom)) * math.sqrt(total))


def monte_carlo_error(draws: int, deviation: float) -> float:
    """Standard error of a 2.5% quantile of ``draws`` normal values."""
    density = NormalDist().pdf(NormalDist().inv_cdf(0.025)) / deviation
    return math.sqrt(0.025 * 0.975 / draws) / density
