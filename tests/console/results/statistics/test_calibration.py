"""Procedures reject at their level where there is nothing to find, in a short, seeded version of ``make calibration``."""

from __future__ import annotations

import math

import pytest

from tests.calibration import needed, procedures
from tests.calibration.__main__ import rates
from tests.calibration.needed import plan, power
from tests.calibration.procedures import NULL_LEVELS, Scores
from tests.calibration.simulate import Setting, as_margins, as_right

EXPERIMENTS, DRAWS = 80, 299
LIBERAL = {
    "paired t, taken for new lemmas",
    "seed-items pooled (not used)",
    "bootstrap alone",
    "McNemar, majority of seeds",
}
"""Known to reject too often: what decides is not made of them alone."""


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (procedures, needed):
        monkeypatch.setattr(module, "DRAWS", DRAWS)


@pytest.mark.parametrize(
    ("share", "seeds", "shown"), [(0.25, 3, as_right), (0.9, 3, as_right), (0.9, 3, as_margins), (0.5, 10, as_right)]
)
def test_no_procedure_rejects_more_often_than_its_level(share: float, seeds: int, shown: Scores) -> None:
    found = rates(Setting(share, seeds, lemmas=60), shown, EXPERIMENTS)
    for name in found.keys() - LIBERAL:
        level = NULL_LEVELS[name]
        assert found[name] <= level + 3.1 * math.sqrt(level * (1 - level) / EXPERIMENTS), name
    # what is never done would be seen here
    assert found["seed-items pooled (not used)"] > 0.14


def test_what_is_needed_finds_the_effect_four_times_in_five() -> None:
    for wanted in (plan(Setting(0.0, 3, lemmas=60), 2.0), plan(Setting(0.9, 3, lemmas=60), 2.2)):
        bought = wanted.with_more_items() if wanted.need.items else wanted.with_more_seeds()
        assert power(wanted.setting, wanted.effect, EXPERIMENTS) < 0.65
        assert 0.70 < power(bought, wanted.effect, EXPERIMENTS) < 0.92
