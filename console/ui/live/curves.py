"""The curves of the Live view: training loss of every run, and its validation beside mean pooling."""

from __future__ import annotations

from collections.abc import Iterable

from console.runs.run_view import RunView
from console.runs.series import Series
from console.ui.live.chart import Colour, Curve
from engine.contract.settings import RunId

SMOOTHING = 0.95  # averages about the last 20 steps
_COLOURS: tuple[Colour, ...] = (
    (86, 156, 255),
    (255, 166, 64),
    (94, 214, 126),
    (226, 120, 226),
    (90, 214, 214),
    (226, 214, 90),
)
_SELECTED: Colour = (255, 255, 255)
_RAW: Colour = (120, 120, 120)
_REFERENCE: Colour = (170, 170, 170)


def letters(conditions: Iterable[str]) -> dict[str, str]:
    """A small letter for each condition: its own first one, or the next free one of the alphabet."""
    chosen: dict[str, str] = {}
    for condition in conditions:
        free = [letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in chosen.values()]
        own = condition[:1].lower()
        chosen[condition] = own if own in free else (free or ["*"])[0]
    return chosen


def colours(conditions: Iterable[str]) -> dict[str, Colour]:
    """A colour for each condition, by its position; they repeat after six."""
    return {condition: _COLOURS[index % len(_COLOURS)] for index, condition in enumerate(dict.fromkeys(conditions))}


def loss_curves(views: dict[RunId, RunView], selected: RunId | None, *, smoothed: bool) -> list[Curve]:
    """Training loss of every run by step; the selected run last, so on top.

    Smoothed, the selected run's raw values are drawn dim below its curve.
    """
    curves = []
    for run, colour, letter in _styles(views, selected):
        losses = views[run].losses
        if not losses:
            continue
        if smoothed and run == selected:
            curves.append(Curve(losses, _RAW, "."))
        curves.append(Curve(losses, colour, letter, SMOOTHING if smoothed else 0.0))
    return curves


def top1_curves(views: dict[RunId, RunView], selected: RunId | None) -> list[Curve]:
    """Top-1 on the development bundles in percent by epoch, above a level line of mean pooling."""
    curves = []
    last = 1.0
    for run, colour, letter in _styles(views, selected):
        if epochs := views[run].epochs:
            last = max(last, epochs[-1].epoch)
            points = Series((epoch.epoch for epoch in epochs), (100 * epoch.top1 for epoch in epochs))
            curves.append(Curve(points, colour, letter))
    level = mean_pool_level(views, selected)
    if level is not None:
        curves.insert(0, Curve(Series((0.0, last), (level, level)), _REFERENCE, "-"))
    return curves


def mean_pool_level(views: dict[RunId, RunView], selected: RunId | None) -> float | None:
    """Top-1 of mean pooling in percent on the selected run's development bundles, or of the first run that has any."""
    chosen = [views[selected]] if selected in views else []
    for view in [*chosen, *views.values()]:
        if view.epochs:
            return 100 * view.epochs[-1].mean_pool_top1
    return None


def _styles(views: dict[RunId, RunView], selected: RunId | None) -> list[tuple[RunId, Colour, str]]:
    """Colour and letter of each run, seeds in shades of their condition's colour.

    The selected run comes last, in white and with a capital letter.
    """
    names = dict.fromkeys(run.condition for run in views)
    colour_of, letter_of = colours(names), letters(names)
    seeds_seen: dict[str, int] = {}
    styles, last = [], []
    for run in views:
        shade = max(0.55, 1.0 - 0.18 * seeds_seen.get(run.condition, 0))
        seeds_seen[run.condition] = seeds_seen.get(run.condition, 0) + 1
        red, green, blue = colour_of[run.condition]
        if run == selected:
            last.append((run, _SELECTED, letter_of[run.condition].upper()))
        else:
            styles.append((run, (int(red * shade), int(green * shade), int(blue * shade)), letter_of[run.condition]))
    return styles + last
