"""Changes between two snapshots that people are notified of: a run's state or warning, the link, the end of all runs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from console.format import counted
from console.runs.run_view import RunView
from console.runs.snapshot import Snapshot
from engine.contract.events import Warning
from engine.contract.settings import RunId

TransitionKind = Literal[
    "queued",
    "started",
    "finished",
    "failed",
    "aborted",
    "lost",
    "warning",
    "host lost",
    "host back",
    "all ended",
]
_KIND_OF_STATE: dict[str, TransitionKind] = {
    "queued": "queued",
    "running": "started",
    "finished": "finished",
    "failed": "failed",
    "aborted": "aborted",
    "lost": "lost",
}


class Transition(Struct, frozen=True):
    """One thing that happened between two snapshots.

    Attributes:
        run: the run it happened to; None for the host and for all runs together.
        text: what happened, in one line that is safe to show.
    """

    kind: TransitionKind
    text: str
    run: RunId | None = None


def transitions(old: Snapshot, new: Snapshot) -> tuple[Transition, ...]:
    """What happened between ``old`` and ``new``: to the host, to each run in matrix order, then to all runs together.

    Runs are compared once ``old`` has the host's report of this session: what happened before the console opened is no
    news. A run that passed through several states in between has only the last one.
    """
    found = list(_of_host(old, new))
    if old.host.runs_reported:
        for run, view in new.runs.items():
            if (before := old.runs.get(run)) is not None:
                found += _of_run(before, view, history_known=old.host.history_known)
        found += _of_all(old, new)
    return tuple(found)


def state_counts(snapshot: Snapshot) -> dict[str, int]:
    """Number of runs in each state that some run is in, in the order of a run's life; ``none``: not launched."""
    counts = Counter(view.state_name for view in snapshot.runs.values())
    names = ("running", "queued", "finished", "failed", "aborted", "lost", "none")
    return {name: counts[name] for name in names if counts[name]}


def all_ended_text(snapshot: Snapshot) -> str:
    """``All 9 runs ended``, or how many of them were launched."""
    launched = sum(view.state is not None for view in snapshot.runs.values())
    left = len(snapshot.runs) - launched
    if not left:
        return "The run ended" if launched == 1 else f"All {counted(launched, 'run')} ended"
    return f"{'The launched run' if launched == 1 else f'All {launched:,} launched runs'} ended, {left:,} not launched"


def _of_host(old: Snapshot, new: Snapshot) -> Iterator[Transition]:
    before, now = old.host.link, new.host.link
    if before == "up" and now == "lost":
        yield Transition("host lost", f"{new.host.title}: the link is lost" + _because(new.host.detail))
    if before == "lost" and now == "up" and old.host.last_reply_at:
        yield Transition("host back", f"{new.host.title}: the link is back")


def _of_run(old: RunView, new: RunView, *, history_known: bool) -> Iterator[Transition]:
    state, before = new.state, old.state
    if state is not None and (before is None or (before.state, before.key) != (state.state, state.key)):
        kind = _KIND_OF_STATE[state.state]
        text = f"{new.run.label} {kind}" + (_because(state.reason) if state.ended else "")
        yield Transition(kind, text, new.run)
    if history_known:
        # a state that is missing or cannot be read has no key: the warnings beside it are those of the last launch
        launches = {one.key for one in (before, state) if one is not None and one.key}
        for warning in _new_warnings(old.warnings if len(launches) < 2 else (), new.warnings):
            yield Transition("warning", f"{new.run.label}: {warning.message}", new.run)


def _of_all(old: Snapshot, new: Snapshot) -> Iterator[Transition]:
    if any(map(_unfinished, old.runs.values())) and not any(map(_unfinished, new.runs.values())):
        yield Transition("all ended", all_ended_text(new))


def _unfinished(view: RunView) -> bool:
    return view.active or view.may_be_taken_back


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _new_warnings(old: tuple[Warning, ...], new: tuple[Warning, ...]) -> tuple[Warning, ...]:
    """The warnings of ``new`` behind those that it shares with ``old``, whose first ones it may have dropped."""
    for dropped in range(len(old) + 1):
        kept = old[dropped:]
        if new[: len(kept)] == kept:
            return new[len(kept) :]
    return new
