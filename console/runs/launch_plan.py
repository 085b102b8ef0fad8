"""What a key would do, worked out before anything is done: pure plans of launches and aborts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from console.runs.run_view import RunView
from engine.contract.settings import RunId


class LaunchPlan(Struct, frozen=True):
    """Runs to launch, and those left as they are with the reason.

    Of the launched, ``replaces`` are those whose results give way, ``resumes`` those that go on from their checkpoint.
    """

    launch: tuple[RunId, ...]
    leave: tuple[tuple[RunId, str], ...] = ()
    replaces: tuple[RunId, ...] = ()
    resumes: tuple[RunId, ...] = ()

    @property
    def question(self) -> str:
        """One line for a person: what would happen."""
        if not self.launch:
            return "Nothing to launch: " + _counted(reason for _, reason in self.leave)
        text = f"Launch {_named(self.launch)}"
        if self.replaces:
            text += f"; the results of {_named(self.replaces)} are set aside"
        if self.resumes:
            text += f"; {_named(self.resumes)} {'goes' if len(self.resumes) == 1 else 'go'} on from the last checkpoint"
        if self.leave:
            text += f"; leave {len(self.leave)} ({_counted(reason for _, reason in self.leave)})"
        return text + "."


class AbortPlan(Struct, frozen=True):
    """Runs to abort: queued ones never start, running ones are ended with every process of theirs."""

    abort: tuple[RunId, ...]
    running: tuple[RunId, ...] = ()

    @property
    def question(self) -> str:
        """One line for a person: what would be destroyed."""
        if not self.abort:
            return "Nothing to abort: no run is queued or running."
        queued = tuple(run for run in self.abort if run not in self.running)
        parts = []
        if self.running:
            parts.append(f"end {_named(self.running)} in mid-run (their progress since the last checkpoint is lost)")
        if queued:
            parts.append(f"take {_named(queued)} out of the queue")
        text = " and ".join(parts)
        return text[0].upper() + text[1:] + "."


def plan_launch(
    views: Mapping[RunId, RunView],
    wanted: Iterable[RunId],
    *,
    same_settings: frozenset[RunId] = frozenset(),
    again: bool = False,
) -> LaunchPlan:
    """Which of ``wanted`` to launch.

    An active run is never launched twice. A finished run whose results were asked for with the same settings
    (``same_settings``) is kept, unless ``again``. One that ended before its results goes on from its checkpoint, if it
    has one of the same settings, unless ``again``. Everything else that ended is launched anew.
    """
    launch, leave, replaces, resumes = [], [], [], []
    for run in wanted:
        view = views.get(run)
        if view is not None and view.active:
            leave.append((run, f"already {view.state_name}"))
        elif view is not None and view.state_name == "finished" and run in same_settings and not again:
            leave.append((run, "finished with these settings"))
        else:
            launch.append(run)
            if view is not None and (
                view.evaluated or view.state_name == "finished"
            ):  # its events may not have come yet
                replaces.append(run)
            elif view is not None and view.checkpoint is not None and run in same_settings and not again:
                resumes.append(run)
    return LaunchPlan(tuple(launch), tuple(leave), tuple(replaces), tuple(resumes))


def plan_abort(views: Mapping[RunId, RunView], wanted: Iterable[RunId]) -> AbortPlan:
    """Which of ``wanted`` there is something to abort of."""
    active = [run for run in wanted if run in views and views[run].active]
    return AbortPlan(tuple(active), tuple(run for run in active if views[run].state_name == "running"))


def _named(runs: tuple[RunId, ...]) -> str:
    """``A/42``, ``A/42 and B/42``, ``A/42, A/123 and B/42``, or ``9 runs (A, B, C)``."""
    if len(runs) <= 3:
        *first, last = (f"{run.condition}/{run.seed}" for run in runs)
        return f"{', '.join(first)} and {last}" if first else last
    return f"{len(runs)} runs ({', '.join(dict.fromkeys(run.condition for run in runs))})"


def _counted(reasons: Iterable[str]) -> str:
    """``2 already running, 1 finished with these settings``."""
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "no run was chosen"
