"""p values adjusted for several hypotheses: an adjusted p is compared with the level as a single one would be."""

from __future__ import annotations

from collections.abc import Sequence


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down (Scandinavian Journal of Statistics 6, 1979): any false rejection at the level, however dependent.

    Raises:
        ValueError: a p is not from 0 to 1.
    """
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for place, number in enumerate(_ascending(ps)):
        largest = max(largest, min(1.0, (len(ps) - place) * ps[number]))
        adjusted[number] = largest
    return adjusted


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's step-up (JRSS B 57, 1995): the expected share of false ones among those rejected.

    Raises:
        ValueError: a p is not from 0 to 1.
    """
    adjusted = [0.0] * len(ps)
    smallest = 1.0
    for place, number in reversed(list(enumerate(_ascending(ps), start=1))):
        smallest = min(smallest, ps[number] * len(ps) / place)
        adjusted[number] = smallest
    return adjusted


def _ascending(ps: Sequence[float]) -> list[int]:
    if not all(0 <= p <= 1 for p in ps):
        raise ValueError(f"a p value is not from 0 to 1: {list(ps)}")
    return sorted(range(len(ps)), key=lambda number: ps[number])
