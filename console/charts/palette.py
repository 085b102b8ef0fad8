"""Line styles that tell runs apart: colour and letter by condition, dash by seed."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from engine.contract.settings import RunId

Colour = tuple[int, int, int]
# Okabe and Ito's colour-blind-safe palette (2008), its light colours darkened and its dark ones lightened until each has
# a contrast of at least 3:1 with white and with black; yellow and black, which cannot, are left out.
COLOURS: tuple[Colour, ...] = (
    (31, 133, 200),
    (213, 94, 0),
    (0, 158, 115),
    (199, 107, 160),
    (176, 126, 0),
    (128, 128, 128),
)
DASHES = ((1, 0), (4, 2), (1, 2), (6, 2), (2, 1))
"""Dots drawn and left out along x, by the position of the seed; they repeat after five."""


class Style(Struct, frozen=True):
    """Colour, letter and dash pattern of a run's line."""

    colour: Colour
    letter: str
    dash: int


def styles(runs: Iterable[RunId]) -> dict[RunId, Style]:
    """Colour and letter by condition, dash by seed."""
    runs = list(runs)
    conditions = list(dict.fromkeys(run.condition for run in runs))
    letter_of = letters(conditions)
    seeds: dict[str, list[int]] = {}
    for run in runs:
        seeds.setdefault(run.condition, []).append(run.seed)
    return {
        run: Style(
            COLOURS[conditions.index(run.condition) % len(COLOURS)],
            letter_of[run.condition],
            seeds[run.condition].index(run.seed) % len(DASHES),
        )
        for run in runs
    }


def letters(conditions: Iterable[str]) -> dict[str, str]:
    """A small letter for each condition: its own first one, or the next free one of the alphabet."""
    chosen: dict[str, str] = {}
    for condition in conditions:
        free = [letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in chosen.values()]
        own = condition[:1].lower()
        chosen[condition] = own if own in free else (free or ["*"])[0]
    return chosen
