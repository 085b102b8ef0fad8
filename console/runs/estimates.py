"""Expected time and cost of runs, from what runs of the same kind took; what is not known stays unknown. Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from statistics import median

from msgspec import Struct
from msgspec.structs import replace

from console.format import rough_duration
from console.runs.run_view import RunView, queue_order
from console.runs.snapshot import Snapshot
from engine.contract.settings import RunId, Settings

_LONGEST_S = 1e8  # three years: a longer time comes from a clock that was set
_HOUR_S = 3600.0
_LEAST_COST = 0.01  # of the currency: less is no news
_BEFORE_TRAINING = ("", "data", "encode", "warm_start")


class RunTimes(Struct, frozen=True):
    """How long the parts of a run take, in seconds; None: not known.

    Attributes:
        before: from its start to the end of its first step.
        step: one optimizer step; ``steps`` is their number.
        after: from its last step to its end.
        epochs: the epochs that ``steps`` are of; None where the budget is in steps or not known.
    """

    before: float | None = None
    step: float | None = None
    steps: float | None = None
    after: float | None = None
    epochs: int | None = None

    @property
    def total(self) -> float | None:
        """Of the whole run."""
        if self.before is None or self.step is None or self.steps is None or self.after is None:
            return None
        return self.before + self.step * max(0.0, self.steps - 1) + self.after


class Estimate(Struct, frozen=True):
    """When active runs are expected to end, and what all of it costs; times in seconds from now.

    Attributes:
        finished: of all ``total`` runs; ``active`` ones are queued or running.
        seconds: until every active run has ended; None: not known. ``at_least``: some of them are not known and come on top.
        finish_in: of each active run whose end can be told, the queue of the host considered.
        spent: cost of the time in which any run ran, before it was resumed too; None without a price. ``cost``: that of all,
            once nothing is active.
        idle: cost of the time since the last run ended, where none is active; the host is paid for all the same.
    """

    finished: int
    total: int
    active: int
    seconds: float | None = None
    at_least: bool = False
    finish_in: dict[RunId, float] = {}
    spent: float | None = None
    cost: float | None = None
    idle: float | None = None
    currency: str = ""


def kind_of(settings: Settings) -> Hashable:
    """Key that is the same for runs that take equally long: all settings but seed, gates, curriculum weights and budget."""
    training = settings.training
    return (
        settings.edition,
        settings.encoder,
        settings.model,
        training.batch_size,
        training.measurements,
        training.warm_start_steps,
        training.gloss_weight > 0,
        settings.data,
        settings.reference_encoder,
        settings.synthetics,
        settings.inputs,
    )


def run_times(view: RunView, settings: Settings | None = None) -> RunTimes:
    """Durations of the parts of a run by its own events; None where its clock was set in between."""
    state, first, last = view.state, view.first_step, view.last_step
    if state is None or first is None or last is None:
        return RunTimes()
    done = last[0] - first[0]
    return RunTimes(
        before=_span(state.started_at, first[1]),
        step=None if done <= 0 else _span(first[1], last[1], done),
        steps=view.total_steps or None,
        after=_span(last[1], state.ended_at) if view.state_name == "finished" else None,
        epochs=settings.training.epochs if settings else None,
    )


class MeasuredRuns:
    """Measured durations of the runs of an experiment, by kind.

    Args:
        settings: of each run; views of other runs are not used.
    """

    def __init__(self, settings: Mapping[RunId, Settings], views: Mapping[RunId, RunView]) -> None:
        self._finished: dict[Hashable, list[RunTimes]] = {}
        self._running: dict[Hashable, list[RunTimes]] = {}
        kinds: dict[str, Hashable] = {}  # by condition, as seeds do not matter: it takes most of the time
        for run, own in settings.items():
            view = views.get(run)
            if view is not None and view.state_name in ("finished", "running"):
                of_state = self._finished if view.state_name == "finished" else self._running
                if run.condition not in kinds:
                    kinds[run.condition] = kind_of(own)
                of_state.setdefault(kinds[run.condition], []).append(run_times(view, own))

    def expected(self, settings: Settings) -> RunTimes:
        """What a run of ``settings`` takes: the median of finished runs of its kind, else of running ones.

        The times before and after training may be those of any finished run: an experiment's conditions are built and
        evaluated alike.
        """
        kind = kind_of(settings)
        finished, running = self._finished.get(kind, []), self._running.get(kind, [])
        others = [times for of_kind in self._finished.values() for times in of_kind]
        return RunTimes(
            before=_median("before", finished, running, others),
            step=_median("step", finished, running),
            steps=_expected_steps(settings, [*finished, *running]),
            after=_median("after", finished, others),
            epochs=settings.training.epochs,
        )

    def expected_of_all(self, settings: Mapping[RunId, Settings]) -> dict[RunId, RunTimes]:
        """What each run takes; computed once for the seeds of a condition, which do not differ in it."""
        by_condition: dict[str, RunTimes] = {}
        for run, own in settings.items():
            if run.condition not in by_condition:
                by_condition[run.condition] = self.expected(own)
        return {run: by_condition[run.condition] for run in settings}


def _expected_steps(settings: Settings, of_kind: Sequence[RunTimes]) -> float | None:
    if settings.training.steps is not None:
        return settings.training.steps
    epochs = settings.training.epochs or 0
    found = [times.steps / times.epochs * epochs for times in of_kind if times.steps and times.epochs]
    return median(found) if found else None


def estimate(
    snapshot: Snapshot, expected: Mapping[RunId, RunTimes], host_time: float | None, planned: Iterable[RunId] = ()
) -> Estimate:
    """Time and cost of the active runs of ``snapshot``, and of ``planned`` ones as if they were queued behind these.

    Args:
        expected: what runs take, by ``MeasuredRuns``; of ``planned`` ones too.
        host_time: the host's Unix time in s now; None if not known.
    """
    views, host = snapshot.runs, snapshot.host
    running = [view for view in views.values() if view.state_name == "running"]
    left = {view.run: seconds_left(view, expected.get(view.run, RunTimes()), host_time) for view in running}
    later = [(view.run, _of_resumed(expected.get(view.run), view)) for view in queue_order(views.values())]
    later += [(run, expected.get(run)) for run in planned]
    finish_in = {run: seconds for run, seconds in left.items() if seconds is not None}
    if host.launcher != "slurm":  # whose order and slots are the cluster's
        finish_in |= _finish_of_queue(list(left.values()), later, host.slots)
    active = len(running) + len(later)
    seconds = max(finish_in.values(), default=None if active else 0.0)
    spent = _spent(views.values(), host.price_per_hour, host_time)
    return Estimate(
        finished=sum(view.state_name == "finished" for view in views.values()),
        total=len(views),
        active=active,
        seconds=seconds,
        at_least=len(finish_in) < active,
        finish_in=finish_in,
        spent=spent,
        cost=None if spent is None or seconds is None else spent + (host.price_per_hour or 0.0) * seconds / _HOUR_S,
        idle=_idle(views.values(), host.price_per_hour, host_time) if not active else None,
        currency=host.currency,
    )


def left_text(found: Estimate) -> str:
    """``about 41 min left``; ``at least`` where the end of some active run is not known, as before its condition has begun."""
    if found.seconds is None:
        return f"{found.active} active, time left not known yet"
    return f"{'at least' if found.at_least else 'about'} {rough_duration(found.seconds)} left"


def cost_text(found: Estimate) -> str:
    """``1.10 of about 2.30 EUR, 1.20 left``, or ``2.30 EUR, 0.40 more since the last run ended``; "" without a price."""
    if found.spent is None:
        return ""
    if found.active and found.cost is not None:
        about = "at least" if found.at_least else "about"
        return f"{found.spent:.2f} of {about} {found.cost:.2f} {found.currency}, {found.cost - found.spent:.2f} left"
    idle = f", {found.idle:.2f} more since the last run ended" if found.idle and found.idle >= _LEAST_COST else ""
    return f"{found.spent:.2f} {found.currency}{idle}"


def seconds_left(view: RunView, expected: RunTimes, host_time: float | None) -> float | None:
    """Seconds until a running run ends; None if not known."""
    own = run_times(view)
    if view.stage == "train" and view.last_step is not None:
        step = own.step if own.step is not None else expected.step
        if step is None or expected.after is None or not view.total_steps:
            return None
        return max(0, view.total_steps - view.last_step[0]) * step + expected.after
    if host_time is None or view.state is None:
        return None
    if view.stage in _BEFORE_TRAINING:
        elapsed = _span(view.state.started_at, host_time)
        return None if expected.total is None or elapsed is None else max(0.0, expected.total - elapsed)
    elapsed = _span(view.last_step[1], host_time) if view.last_step else None
    return None if expected.after is None or elapsed is None else max(0.0, expected.after - elapsed)


def _of_resumed(times: RunTimes | None, view: RunView) -> RunTimes | None:
    """``times`` of a queued run that goes on from its checkpoint, if it has one."""
    if times is None or times.steps is None or view.checkpoint is None:
        return times
    return replace(times, steps=max(0.0, times.steps - view.checkpoint.step))


def _finish_of_queue(
    running: Sequence[float | None], queue: Sequence[tuple[RunId, RunTimes | None]], slots: int
) -> dict[RunId, float]:
    """When each queued run ends, up to the first whose start or duration cannot be told: it holds up all behind it."""
    if None in running:
        return {}
    free = sorted(seconds for seconds in running if seconds is not None)
    free = [0.0] * max(0, slots - len(free)) + free[max(0, len(free) - slots) :]
    finish: dict[RunId, float] = {}
    for run, times in queue:
        if times is None or times.total is None:
            break
        finish[run] = heapq.heappop(free) + times.total
        heapq.heappush(free, finish[run])
    return finish


def _spent(views: Iterable[RunView], price: float | None, host_time: float | None) -> float | None:
    """Cost of the time in which at least one run ran, as far as it is recorded; as much for several runs as for one."""
    if price is None:
        return None
    spans: list[tuple[float, float]] = []
    for view in views:
        if view.state is None:
            continue
        end = view.state.ended_at or (host_time if view.active and host_time is not None else view.last_event)
        # events tell of processes before the run was resumed; the state, of the last launch alone, from start to end
        spans += [span for span in (*view.processes, (view.state.started_at, end)) if _span(*span) is not None]
    total, reached = 0.0, -math.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return price * total / _HOUR_S


def _idle(views: Iterable[RunView], price: float | None, host_time: float | None) -> float | None:
    """Cost of the time since the last of ``views`` ended; None without a price, an end or the host's time."""
    ended = max((view.state.ended_at for view in views if view.state is not None), default=0.0)
    seconds = None if price is None or host_time is None else _span(ended, host_time)
    return None if price is None or seconds is None else price * seconds / _HOUR_S


def _span(start: float, end: float, parts: int = 1) -> float | None:
    """Seconds from ``start`` to ``end`` by ``parts``; None where they cannot be two times of one clock."""
    seconds = end - start
    return seconds / parts if start > 0 and 0 <= seconds < _LONGEST_S else None


def _median(part: str, *sources: Sequence[RunTimes]) -> float | None:
    """Of the first of ``sources`` in which ``part`` is known."""
    for source in sources:
        values = [value for times in source if (value := getattr(times, part)) is not None]
        if values:
            return float(median(values))
    return None
