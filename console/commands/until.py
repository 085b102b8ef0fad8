"""Condition that ``qllm-console wait`` waits for: as typed, and whether the runs have reached it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from msgspec import Struct

from console.format import counted
from console.runs.run_view import RunView
from engine.contract.bad_input import BadInput
from engine.contract.run_folder import StateName
from engine.contract.settings import RunId

WAITED_STATES: tuple[StateName, ...] = get_args(StateName)
Kind = Literal["finished", "failed", "all-ended", "state"]
Reached = Literal["yes", "not yet", "never"]


class Until(Struct, frozen=True):
    """Parsed ``--until`` option.

    Attributes:
        kind: ``finished``: all runs have finished. ``failed``: one of them has failed. ``all-ended``: none is queued or
            running, and at least one was launched. ``state``: the one run is in ``state``.
    """

    kind: Kind
    runs: tuple[RunId, ...]
    state: StateName | None = None


def parse_until(typed: str, chosen: tuple[RunId, ...]) -> Until:
    """Parse ``finished``, ``failed``, ``all-ended``, or ``RUN=STATE`` of one of the ``chosen`` runs.

    Raises:
        BadInput: it is none of these.
    """
    kinds: tuple[Kind, ...] = ("finished", "failed", "all-ended")
    for kind in kinds:
        if typed == kind:
            return Until(kind, chosen)
    name, equals, wanted = typed.rpartition("=")
    if not equals:
        raise BadInput(f"{typed!r} is not one of: finished, failed, all-ended, RUN=STATE", field="--until")
    runs = [run for run in chosen if name in (run.label, str(run))]
    if not runs:
        raise BadInput(f"no run {name!r}; known: {', '.join(run.label for run in chosen)}", field="--until")
    state = next((one for one in WAITED_STATES if one == wanted), None)
    if state is None:
        raise BadInput(f"no state {wanted!r}; known: {', '.join(WAITED_STATES)}", field="--until")
    return Until("state", (runs[0],), state)


def reached(until: Until, views: Mapping[RunId, RunView]) -> Reached:
    """Whether ``until`` is reached; ``never``: as the runs ended, it cannot be without a new launch."""
    of = [views[run] for run in until.runs]
    ended = [has_ended(view) for view in of]
    match until.kind:
        case "finished":
            if any(over and view.state_name != "finished" for view, over in zip(of, ended, strict=True)):
                return "never"
            return "yes" if all(ended) else "not yet"
        case "failed":
            if any(view.state_name == "failed" for view in of):
                return "yes"
            return "never" if all(ended) else "not yet"
        case "all-ended":
            launched = [over for view, over in zip(of, ended, strict=True) if view.state is not None]
            return "yes" if launched and all(launched) else "not yet"
        case "state":
            if of[0].state_name == until.state:
                return "yes"
            return "never" if ended[0] else "not yet"


def has_ended(view: RunView) -> bool:
    """Whether the run was launched and is over for good, as far as is known."""
    return view.state is not None and view.state.ended and not view.may_be_taken_back


def states_text(views: Iterable[RunView]) -> str:
    """``A/42 finished, A/123 running``; beyond six runs only their number."""
    texts = [f"{view.run.label} {view.state_name if view.state else 'not launched'}" for view in views]
    more = len(texts) - 6
    return ", ".join(texts[:6]) + (f" and {counted(more, 'other run')}" if more > 0 else "")
