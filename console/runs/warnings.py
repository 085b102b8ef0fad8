"""Warnings of runs: what each kind means and from which threshold on it is given; all warnings in one list."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from console.format import counted
from console.runs.run_view import RunView
from engine.contract.settings import RunId

UNREAD = "unread_events"
"""Kind of our own warning of events that could not be read."""


class WarningKind(Struct, frozen=True):
    """A kind of warning for people: a short title, what it means, and when it is given."""

    title: str
    meaning: str
    threshold: str


KINDS = {
    "early_warning": WarningKind(
        "hard pairs ranked wrong",
        "The share of hard pairs whose hard negative is closer to the anchor than the positive. Early in training it "
        "points at what to work on: tuning, the architecture or the data.",
        "At steps 500 and 1000; in a run of fewer than 1000 steps also at one and two thirds of them. "
        "Below 15%: tuning. From 15%: the architecture. From 40%: the data.",
    ),
    "dilution": WarningKind(
        "adversarial tier diluted",
        "Each bundle of tier3 is expected to be drawn so seldom that the head may learn little from it. A higher weight "
        "of tier3 or more epochs raise it.",
        "Fewer than 50 expected draws of a bundle in the run: warning. Fewer than 30: critical. Fewer than 10: severe.",
    ),
    "loss_spike": WarningKind(
        "loss spike",
        "The loss of one step is far above those before it: an odd batch, or a learning rate that is too high if it "
        "happens again and again.",
        "Above the mean plus 3 standard deviations of the last 100 losses, of which there must be 20.",
    ),
    "no_glosses": WarningKind(
        "no glosses",
        "The settings weigh glosses in the loss, but no sense of the training bundles has one, so that the weight has no "
        "effect.",
        "training.gloss_weight above 0, and not one gloss known.",
    ),
    "non_finite": WarningKind(
        "not finite",
        "A loss or a gradient is not a number or infinite. The run ends as failed; its last checkpoint is from before.",
        "Any value that is not finite.",
    ),
    UNREAD: WarningKind(
        "unreadable events",
        "Lines of the run's events cannot be decoded: its curves and states may lack something. Its log is not affected.",
        "One line.",
    ),
}
"""By ``Warning.kind``."""


class RunWarning(Struct, frozen=True):
    """One warning of one run; ``at`` is the host's Unix time in s of its event."""

    run: RunId
    kind: str
    message: str
    step: int
    at: float

    @property
    def about(self) -> WarningKind:
        """What its kind means."""
        return KINDS[self.kind]


def all_warnings(views: Iterable[RunView]) -> tuple[RunWarning, ...]:
    """Every warning of every run, the newest first; those of one moment in the order of the runs."""
    found = []
    for view in views:
        for warning, at in zip(view.warnings, _times(view), strict=True):
            found.append(RunWarning(view.run, warning.kind, warning.message, warning.step, at))
        if view.rejected:
            message = f"{counted(view.rejected, 'line')} of its events could not be read"
            found.append(RunWarning(view.run, UNREAD, message, 0, view.last_event))
    return tuple(sorted(found, key=lambda one: (-one.at, -one.step)))


def _times(view: RunView) -> tuple[float, ...]:
    """The time of each warning, that of the newest event where it was not kept."""
    missing = len(view.warnings) - len(view.warning_times)
    return (*view.warning_times, *[view.last_event] * missing)
