"""What to do next, as plain records: steps with the evidence for and against them, and the changes that they mean."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Side = Literal["for", "against", "open"]
StepStatus = Literal["supported", "contradicted", "conflicting", "no evidence"]


class Evidence(Struct, frozen=True):
    """What the data say about a step, in words with numbers; ``open``: it does not decide."""

    side: Side
    text: str


class Change(Struct, frozen=True):
    """A condition to derive: ``toml`` is its difference from ``parent``, to be edited; or ``more_seeds`` to add."""

    parent: str = ""
    toml: str = ""
    more_seeds: int = 0


class NextStep(Struct, frozen=True):
    """One step that could come next.

    Attributes:
        order: from 1; those of the experiment's plan first, in its order.
        is_planned: it is one of the experiment's contingency plan.
        conditions: those that it is about.
        advice: what to do, with what is known already.
        changes: what the step means, one for each condition; none where nothing can be launched.
    """

    order: int
    title: str
    status: StepStatus
    advice: str
    evidence: tuple[Evidence, ...] = ()
    conditions: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    is_planned: bool = False


def status_of(evidence: tuple[Evidence, ...]) -> StepStatus:
    """What all of ``evidence`` says together."""
    sides = {one.side for one in evidence} - {"open"}
    if sides == {"for", "against"}:
        return "conflicting"
    return "supported" if "for" in sides else "contradicted" if "against" in sides else "no evidence"
