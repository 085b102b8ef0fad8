"""How long a run has been in its stage, without trusting the host's clock."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from console.runs.run_view import RunView
from engine.contract.settings import RunId


class Mark(Struct, frozen=True):
    """The look of one state."""

    sign: str
    word: str
    style: str


MARKS = {
    "none": Mark("·", "not launched", "$text-muted"),
    "queued": Mark("◦", "queued", "$text-primary"),
    "running": Mark("▶", "running", "bold $text-accent"),
    "finished": Mark("✓", "finished", "bold $text-success"),
    "failed": Mark("✗", "failed", "bold $text-error"),
    "aborted": Mark("■", "aborted", "bold $text-warning"),
    "lost": Mark("?", "lost", "bold $text-error"),
}
STAGES = {
    "data": "building data",
    "encode": "encoding",
    "warm_start": "warm start",
    "train": "training",
    "evaluate": "evaluating",
    "seal": "sealing",
}


def mark_of(view: RunView) -> Mark:
    """The look of ``view``'s state."""
    return MARKS[view.state_name]


_LATEST = 1e11  # Unix time: beyond it no clock stands


class StageClock:
    """Remembers when stages began by the host's clock, and learns how far that clock is behind ours.

    The smallest age that any news had when it came is the difference of the clocks and the way of the news together, so
    a stage is never said to be older than it is; one that began before the console came may be said to be younger.
    """

    def __init__(self) -> None:
        self._behind: float | None = None
        self._began: dict[RunId, tuple[str, str, float]] = {}

    def look(self, views: Iterable[RunView], now: float) -> None:
        """Take note of ``views`` as they came at ``now``, our Unix time in seconds."""
        for view in views:
            if view.state_name != "running" or view.state is None:
                self._began.pop(view.run, None)
                continue
            news = view.last_event or view.state.started_at
            if not 0 < news < _LATEST:
                continue
            self._behind = min(now - news, now - news if self._behind is None else self._behind)
            known = self._began.get(view.run)
            if known is None or known[:2] != (view.state.key, view.stage):
                self._began[view.run] = (view.state.key, view.stage, news)

    def seconds(self, view: RunView, now: float) -> float | None:
        """How long ``view`` has been in its stage at ``now``; None where training's ETA tells more, or nothing is known."""
        began = self._began.get(view.run)
        if began is None or self._behind is None or view.state_name != "running":
            return None
        if view.stage == "train" and view.last_step is not None:
            return None
        return max(0.0, now - began[2] - self._behind)
