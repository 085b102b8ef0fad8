"""Which curves the Live view draws: the loss of every run, and its validation beside mean pooling."""

from __future__ import annotations

from collections.abc import Iterable

from console.runs.run_view import RunView
from console.ui.live.chart import Colour, Series
from engine.contract.settings import RunId

SMOOTHING = 0.95
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
    """A small letter a condition: its own first one, or the next of the alphabet where that is taken."""
    chosen: dict[str, str] = {}
    for condition in conditions:
        free = [letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in chosen.values()]
        own = condition[:1].lower()
        chosen[condition] = own if own in free else (free or ["*"])[0]
    return chosen


def colours(conditions: Iterable[str]) -> dict[str, Colour]:
    """A colour a condition."""
    return {condition: _COLOURS[place % len(_COLOURS)] for place, condition in enumerate(dict.fromkeys(conditions))}


def loss_series(views: dict[RunId, RunView], selected: RunId | None, *, smoothed: bool) -> list[Series]:
    """The training loss of every run by step, the selected one white, capital and on top.

    Smoothed, the selected run's raw values stay below its curve, dim.
    """
    series = []
    for run, colour, letter in _looks(views, selected):
        view = views[run]
        if not view.steps:
            continue
        version = ("loss", run, view.state.key if view.state else "", len(view.steps))
        one = Series(version, view.steps, view.losses, colour, letter)
        if smoothed:
            if run == selected:
                series.append(Series(version, view.steps, view.losses, _RAW, "."))
            one = Series(version, view.steps, view.losses, colour, letter, SMOOTHING)
        series.append(one)
    return series


def top1_series(views: dict[RunId, RunView], selected: RunId | None) -> list[Series]:
    """Top-1 on the development bundles in percent by epoch, over the level of mean pooling."""
    series = []
    for run, colour, letter in _looks(views, selected):
        view = views[run]
        if not view.epochs:
            continue
        version = ("top1", run, view.state.key if view.state else "", len(view.epochs))
        xs = [float(epoch.epoch) for epoch in view.epochs]
        series.append(Series(version, xs, [100 * epoch.top1 for epoch in view.epochs], colour, letter))
    level = mean_pool_level(views, selected)
    if level is not None and series:
        last = max(one.xs[-1] for one in series)
        series.insert(0, Series(("mean pooling", level, last), (0.0, max(1.0, last)), (level, level), _REFERENCE, "-"))
    return series


def mean_pool_level(views: dict[RunId, RunView], selected: RunId | None) -> float | None:
    """Mean pooling's top-1 in percent on the selected run's development bundles, or the first run's that has any."""
    chosen = [views[selected]] if selected in views else []
    for view in [*chosen, *views.values()]:
        if view.epochs:
            return 100 * view.epochs[-1].mean_pool_top1
    return None


def _looks(views: dict[RunId, RunView], selected: RunId | None) -> list[tuple[RunId, Colour, str]]:
    """Each run's colour and letter, seeds in shades of their condition's colour; the selected run comes last."""
    names = dict.fromkeys(run.condition for run in views)
    colour_of, letter_of = colours(names), letters(names)
    seen: dict[str, int] = {}
    looks, last = [], []
    for run in views:
        shade = max(0.55, 1.0 - 0.18 * seen.get(run.condition, 0))
        seen[run.condition] = seen.get(run.condition, 0) + 1
        red, green, blue = colour_of[run.condition]
        if run == selected:
            last.append((run, _SELECTED, letter_of[run.condition].upper()))
        else:
            looks.append((run, (int(red * shade), int(green * shade), int(blue * shade)), letter_of[run.condition]))
    return looks + last
