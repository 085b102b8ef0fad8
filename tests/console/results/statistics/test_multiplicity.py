"""Adjusted p values against the closed test and scipy."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from console.results.statistics.multiplicity import benjamini_hochberg, holm

PS = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(PS)
def test_holm_is_the_closed_test_of_bonferroni(ps: list[float]) -> None:
    subsets = [subset for size in range(1, len(ps) + 1) for subset in itertools.combinations(range(len(ps)), size)]
    expected = [
        max(min(1.0, len(subset) * min(ps[n] for n in subset)) for subset in subsets if number in subset)
        for number in range(len(ps))
    ]
    assert holm(ps) == pytest.approx(expected)


@given(PS)
def test_benjamini_hochberg_is_scipys(ps: list[float]) -> None:
    assert benjamini_hochberg(ps) == pytest.approx(stats.false_discovery_control(ps).tolist())


def test_none_are_none_and_bad_ones_are_refused() -> None:
    assert holm([]) == benjamini_hochberg([]) == []
    for bad in (float("nan"), 1.1, -0.1):
        with pytest.raises(ValueError, match="from 0 to 1"):
            holm([0.5, bad])
        with pytest.raises(ValueError, match="from 0 to 1"):
            benjamini_hochberg([bad])
