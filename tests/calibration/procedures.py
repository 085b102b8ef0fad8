"""What each procedure rejects in one simulated experiment in which nothing is to be found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import stdtr  # type: ignore[import-untyped]

from console.results.statistics.crossed import (
    bootstrap_means,
    bootstrap_p,
    difference_p,
    mean_interval,
)
from console.results.statistics.estimates import Floats, SeedScores
from console.results.statistics.lemma_test import lemma_test
from console.results.statistics.moments import moments
from console.results.statistics.multiplicity import holm
from console.results.statistics.paired import mcnemar, paired_t
from tests.calibration.simulate import (
    Draw,
    Lemmas,
    Setting,
    as_margins,
    as_right,
    draw_conditions,
    draw_lemmas,
    expected_on_items,
    true_share_right,
)

DRAWS = 999
MARGIN = 0.1
"""Of non-inferiority, in cosine; any would do, since a shift of both sides of the comparison changes nothing."""

NULL_LEVELS = {
    "recipe: bootstrap and t": 0.05,
    "bootstrap alone": 0.05,
    "t by moments alone": 0.05,
    "recipes B-A and C-B, either (Holm)": 0.05,
    "not worse than -margin": 0.025,
    "gate: PASS at its threshold": 0.025,
    "gate: FAIL at its threshold": 0.025,
    "models: sign-flip of lemmas": 0.05,
    "McNemar, majority of seeds": 0.05,
    "paired t, on these items": 0.05,
    "Welch's t, on these items": 0.05,
    "paired t, taken for new lemmas": 0.05,
    "seed-items pooled (not used)": 0.05,
}
"""Procedures with the rate at which they may reject."""

Scores = Callable[[Floats, Lemmas], SeedScores]


def null_rejections(setting: Setting, shown: Scores, number: int) -> dict[str, bool]:
    """Rejections in experiment ``number``, whose recipes are equally good over all lemmas and seeds.

    Args:
        shown: ``as_margins``, or ``as_right`` for right and wrong.
    """
    stream = np.random.default_rng([number, setting.seeds, int(100 * setting.seed_share)])
    lemmas = draw_lemmas(setting, stream)
    draws = draw_conditions(setting, lemmas, stream, (0.0, 0.0, 0.0))
    first, second, third = (shown(draw.margins, lemmas) for draw in draws)
    means = bootstrap_means({"A": first, "B": second, "C": third}, DRAWS, number)
    found = {
        "recipe: bootstrap and t": _p(second, first, means["B"], means["A"]) < 0.05,
        "bootstrap alone": bootstrap_p(means["B"] - means["A"]) < 0.05,
        "t by moments alone": moment_p(second, first) < 0.05,
    }
    both = holm([_p(second, first, means["B"], means["A"]), _p(third, second, means["C"], means["B"])])
    found["recipes B-A and C-B, either (Holm)"] = min(both) < 0.05
    if shown is as_margins:
        worse = third._replace(values=third.values - MARGIN)  # by just the margin, and so are its draws
        p = difference_p(worse, first, means["C"] - MARGIN, means["A"], -MARGIN, "greater")
        found["not worse than -margin"] = p is not None and p < 0.025
    else:
        gate, threshold = mean_interval(first, means["A"]), true_share_right(setting, lemmas)
        found["gate: PASS at its threshold"] = gate.low is not None and gate.low >= threshold
        found["gate: FAIL at its threshold"] = gate.high is not None and gate.high < threshold
    return found | _other_questions(setting, draws, lemmas, shown, number)


def _p(ours: SeedScores, theirs: SeedScores, our_means: Floats, their_means: Floats) -> float:
    p = difference_p(ours, theirs, our_means, their_means)
    return 1.0 if p is None else p


def _other_questions(
    setting: Setting, draws: list[Draw], lemmas: Lemmas, shown: Scores, number: int
) -> dict[str, bool]:
    """Procedures whose null hypothesis is another: equal trained models, or equal recipes on just these items."""
    is_right = shown is as_right
    first, second = (shown(draw.margins, lemmas) for draw in draws[:2])
    # with the same effects of seeds on both sides, the trained models are as good as each other on new lemmas
    alike = shown(draws[1].margins + (draws[0].of_seeds - draws[1].of_seeds)[:, None], lemmas)
    found = {"models: sign-flip of lemmas": _below(lemma_test(alike, first, number, flips=DRAWS).p)}
    if is_right:
        found["McNemar, majority of seeds"] = mcnemar(alike, first).p < 0.05
    theirs, ours = (
        {seed: mean - expected_on_items(setting, lemmas, draw, is_right) for seed, mean in _seed_means(scores).items()}
        for scores, draw in ((first, draws[0]), (second, draws[1]))
    )
    on_items = paired_t(ours, theirs)
    found["paired t, on these items"] = _below(on_items.p)
    found["Welch's t, on these items"] = _below(on_items.welch_p)
    found["paired t, taken for new lemmas"] = _below(paired_t(_seed_means(second), _seed_means(first)).p)
    found["seed-items pooled (not used)"] = pooled_p(second, first) < 0.05
    return found


def moment_p(ours: SeedScores, theirs: SeedScores) -> float:
    found = moments(ours, theirs)
    if not found.variance:
        return 1.0
    return float(2 * stdtr(found.freedom, -abs(found.mean) / found.variance**0.5))


def pooled_p(ours: SeedScores, theirs: SeedScores) -> float:
    """p of a t-test that takes every seed's every item for an independent observation, which they are not."""
    differences = (ours.values - theirs.values).ravel()
    error = differences.std(ddof=1) / len(differences) ** 0.5
    return float(2 * stdtr(len(differences) - 1, -abs(differences.mean()) / error)) if error else 1.0


def _seed_means(scores: SeedScores) -> dict[int, float]:
    return dict(enumerate(scores.values.mean(axis=1).tolist()))


def _below(p: float | None) -> bool:
    return p is not None and p < 0.05
