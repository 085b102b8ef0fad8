"""A line of the checklist."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Status = Literal["ok", "warning", "blocker"]
Repair = Literal["environment", "wordnet"]


class Check(Struct, frozen=True):
    """What was looked at, how it is, what was found, what to do, and which repair does it, if one does."""

    name: str
    status: Status
    found: str
    advice: str = ""
    repair: Repair | None = None


def worst(checks: tuple[Check, ...]) -> Status:
    """The worst status of all."""
    statuses = {check.status for check in checks}
    return "blocker" if "blocker" in statuses else "warning" if "warning" in statuses else "ok"
