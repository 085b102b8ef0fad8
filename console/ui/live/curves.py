"""The curves of the Live view: training loss of every run, and its scores on development data beside mean pooling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from console.runs.run_view import RunView
from console.runs.series import Series
from console.ui.live.chart import Colour, Curve
from engine.contract.events import Measurement, SetScores
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


class DevelopmentScore(Struct, frozen=True):
    """A score on development data that measurements report: on the bundles, or on the development set ``set_name``."""

    kind: Literal["top1", "score", "loss", "coherence"] = "top1"
    set_name: str = ""

    @property
    def label(self) -> str:
        """``Dev top-1 %``, ``wordnet coherence %``."""
        name = {"top1": "top-1 %", "score": "score %", "loss": "loss", "coherence": "coherence %"}[self.kind]
        return f"{self.set_name or 'Dev'} {name}"

    def of_head(self, measurement: Measurement) -> float | None:
        """The head's score, in percent unless it is the loss; None if it was not measured."""
        if self.set_name:
            return self._of_sets(measurement.sets)
        return measurement.loss if self.kind == "loss" else 100 * getattr(measurement, self.kind)

    def of_mean_pool(self, measurement: Measurement) -> float | None:
        """The same of frozen mean pooling."""
        if self.set_name:
            return self._of_sets(measurement.mean_pool_sets)
        return None if self.kind == "loss" else 100 * getattr(measurement, f"mean_pool_{self.kind}")

    def _of_sets(self, sets: tuple[SetScores, ...]) -> float | None:
        value = next((getattr(one, self.kind) for one in sets if one.name == self.set_name), None)
        return None if value is None else 100 * float(value)


def development_scores(views: dict[RunId, RunView]) -> list[DevelopmentScore]:
    """Every score that the measurements of ``views`` report: of the bundles first, then of each set."""
    last = [view.measurements[-1] for view in views.values() if view.measurements]
    names = dict.fromkeys(one.name for measurement in last for one in measurement.sets)
    of_sets = [DevelopmentScore(kind, name) for name in names for kind in ("top1", "coherence")]
    present = [score for score in of_sets if any(score.of_head(measurement) is not None for measurement in last)]
    return [
        DevelopmentScore("top1"),
        DevelopmentScore("loss"),
        *([DevelopmentScore("score")] if present else []),
        *present,
    ]


def development_curves(views: dict[RunId, RunView], selected: RunId | None, score: DevelopmentScore) -> list[Curve]:
    """``score`` of every run by epochs done, above a level line of mean pooling."""
    curves = []
    last = 1.0
    for run, colour, letter in _styles(views, selected):
        points = [(one.epoch, value) for one in views[run].measurements if (value := score.of_head(one)) is not None]
        if points:
            last = max(last, points[-1][0])
            curves.append(Curve(Series(*zip(*points, strict=True)), colour, letter))
    level = mean_pool_level(views, selected, score)
    if level is not None:
        curves.insert(0, Curve(Series((0.0, last), (level, level)), _REFERENCE, "-"))
    return curves


def mean_pool_level(views: dict[RunId, RunView], selected: RunId | None, score: DevelopmentScore) -> float | None:
    """``score`` of mean pooling in the selected run's measurements, or in those of the first run that has any."""
    chosen = [views[selected]] if selected in views else []
    for view in [*chosen, *views.values()]:
        if view.measurements:
            return score.of_mean_pool(view.measurements[-1])
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
