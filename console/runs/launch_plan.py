"""Plans of launches and aborts: pure functions of the runs' views, and the question to confirm before they are carried out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct

from console.runs.run_view import RunView
from engine.contract.settings import RunId

_STATE_WORDS = {"none": "not launched"}


class LaunchPlan(Struct, frozen=True):
    """Runs to launch.

    Attributes:
        leave: runs that are not launched, each with the reason.
        results_aside: launched runs whose results, and the checkpoint, are set aside.
        checkpoints_aside: launched runs that have no results, and whose checkpoint is set aside.
        resumes: launched runs that resume from their checkpoint.
        replaces: of each launched run, the key of the launch that the plan was made from; "" where the host had none. The
            host starts nothing in place of another one.
    """

    launch: tuple[RunId, ...]
    leave: tuple[tuple[RunId, str], ...] = ()
    results_aside: tuple[RunId, ...] = ()
    checkpoints_aside: tuple[RunId, ...] = ()
    resumes: tuple[RunId, ...] = ()
    replaces: dict[RunId, str] = {}

    @property
    def aside_text(self) -> str:
        """What would be set aside, which is never done without asking; "" if nothing is."""
        parts = []
        if self.results_aside:
            parts.append(f"the results and checkpoint of {runs_text(self.results_aside)}")
        if self.checkpoints_aside:
            parts.append(f"the checkpoint of {runs_text(self.checkpoints_aside)}")
        return " and ".join(parts)

    @property
    def question(self) -> str:
        """What would happen, in one line."""
        if not self.launch:
            return _nothing("launch", self.leave)
        text = f"Launch {runs_text(self.launch)}"
        if self.aside_text:
            text += f"; sets aside {self.aside_text}, to be restored if wanted"
        if self.resumes:
            text += f"; {runs_text(self.resumes)} {'resumes' if len(self.resumes) == 1 else 'resume'} from the last checkpoint"
        if self.leave:
            text += f"; leave {len(self.leave)} ({_counted(reason for _, reason in self.leave)})"
        return text + "."


class AbortPlan(Struct, frozen=True):
    """Runs to abort: queued ones never start, of running ones all processes are ended.

    Attributes:
        running: the running ones of them.
        lost: those of them that are lost, and whose supervisor or processes are left.
        leave: runs of which there is nothing to abort, each with its state.
    """

    abort: tuple[RunId, ...]
    running: tuple[RunId, ...] = ()
    lost: tuple[RunId, ...] = ()
    leave: tuple[tuple[RunId, str], ...] = ()

    @property
    def queued(self) -> tuple[RunId, ...]:
        return tuple(run for run in self.abort if run not in self.running and run not in self.lost)

    @property
    def question(self) -> str:
        """What would be lost, in one line."""
        if not self.abort:
            return _nothing("abort", self.leave)
        parts = []
        if self.running:
            parts.append(f"end {runs_text(self.running)} in mid-run (their progress since the last checkpoint is lost)")
        if self.lost:
            parts.append(
                f"end what still runs of {runs_text(self.lost)}, which {'is' if len(self.lost) == 1 else 'are'} lost"
            )
        if self.queued:
            parts.append(f"take {runs_text(self.queued)} out of the queue")
        text = " and ".join(parts)
        return text[0].upper() + text[1:] + "."


def plan_launch(
    views: Mapping[RunId, RunView],
    wanted: Iterable[RunId],
    *,
    same_settings: frozenset[RunId] = frozenset(),
    unread: frozenset[RunId] = frozenset(),
    restart: bool = False,
) -> LaunchPlan:
    """Which of ``wanted`` to launch.

    An active run is never launched, nor a lost one of which something still runs. A finished run with the same settings
    (``same_settings``) is left as it is, and one with these settings that ended before its results resumes from its
    checkpoint, unless ``restart``. All others start from the beginning.

    Args:
        unread: runs whose events are not all known yet: they may have a checkpoint.
    """
    launch, leave, results = [], [], []
    checkpoints: list[RunId] = []
    resumes: list[RunId] = []
    replaces: dict[RunId, str] = {}
    for run in wanted:
        view = views.get(run, RunView(run))
        continues = run in same_settings and not restart
        finished = view.state_name == "finished"
        if view.active:
            leave.append((run, f"already {view.state_name}"))
        elif view.lost_processes:
            leave.append((run, "lost, but its job still runs; abort it first"))
        elif view.may_be_taken_back:
            leave.append((run, "lost, but its supervisor exists; abort it first"))
        elif finished and continues:
            leave.append((run, "finished with these settings"))
        else:
            launch.append(run)
            replaces[run] = view.state.key if view.state else ""
            if finished or view.evaluated:  # of a finished run the events may not be local yet
                results.append(run)
            elif view.checkpoint is not None or run in unread:
                (resumes if continues else checkpoints).append(run)
    return LaunchPlan(tuple(launch), tuple(leave), tuple(results), tuple(checkpoints), tuple(resumes), replaces)


def plan_abort(views: Mapping[RunId, RunView], wanted: Iterable[RunId]) -> AbortPlan:
    """Which of ``wanted`` can be aborted: active ones, and lost ones of which something still runs."""
    found = [views.get(run, RunView(run)) for run in wanted]
    chosen = [view for view in found if view.can_be_aborted]
    leave = tuple(
        (view.run, _STATE_WORDS.get(view.state_name, view.state_name)) for view in found if not view.can_be_aborted
    )

    def in_state(name: str) -> tuple[RunId, ...]:
        return tuple(view.run for view in chosen if view.state_name == name)

    return AbortPlan(tuple(view.run for view in chosen), in_state("running"), in_state("lost"), leave)


def runs_text(runs: tuple[RunId, ...]) -> str:
    """``A/42``, ``A/42 and B/42``, ``A/42, A/123 and B/42``, or ``9 runs (A, B, C)``."""
    if len(runs) <= 3:
        *first, last = (run.label for run in runs)
        return f"{', '.join(first)} and {last}" if first else last
    return f"{len(runs)} runs ({', '.join(dict.fromkeys(run.condition for run in runs))})"


def _nothing(verb: str, leave: tuple[tuple[RunId, str], ...]) -> str:
    """``Nothing to abort: A/42 is finished.``, of several runs how many are left for which reason."""
    text = f"{leave[0][0].label} is {leave[0][1]}" if len(leave) == 1 else _counted(reason for _, reason in leave)
    return f"Nothing to {verb}: {text}."


def _counted(reasons: Iterable[str]) -> str:
    """``2 already running, 1 finished with these settings``."""
    return ", ".join(f"{count} {reason}" for reason, count in Counter(reasons).items()) or "no run was chosen"
