"""Attempts to launch runs: the key of each, kept until the host has answered it, and what its answer means. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from console.sanitize import sanitize_line
from engine.contract.run_folder import ENDED
from engine.contract.settings import RunId


class Outcome(Struct, frozen=True):
    """Result of the launch or the abort of one run.

    Attributes:
        key: of a launch, the launch that the host now has of the run; "" where it did not say.
        outdated: nothing was launched, because the host has another launch of the run than the plan was made from.
    """

    run: RunId
    done: bool
    note: str
    key: str = ""
    outdated: bool = False


class Attempt(NamedTuple):
    """A launch that the host was asked for: its key, and the key of the launch that it replaces."""

    key: str
    replaces: str


class LaunchAttempts:
    """The attempts of one console that the host has not answered; they are forgotten with the console.

    Args:
        new_key: makes the key of a launch, 32 hexadecimal digits that nobody else makes.
    """

    def __init__(self, new_key: Callable[[], str] = lambda: uuid.uuid4().hex) -> None:
        self._new_key = new_key
        self._attempts: dict[RunId, Attempt] = {}

    def attempt(self, run: RunId, replaces: str) -> Attempt:
        """The attempt to launch ``run`` in place of launch ``replaces``: the same one until the host has answered it."""
        attempt = self._attempts.get(run)
        if attempt is None or attempt.replaces != replaces:
            attempt = self._attempts[run] = Attempt(self._new_key(), replaces)
        return attempt

    def forget(self, run: RunId) -> None:
        """Make the next launch of ``run`` another attempt, whatever the outcome of the last one."""
        self._attempts.pop(run, None)

    def outcome(self, run: RunId, key: str, answer: Mapping[str, Any]) -> Outcome:
        """What the host's ``answer`` to attempt ``key`` means; a refused run keeps its key, so that its next launch is the
        same one."""
        if "key" not in answer:
            return Outcome(run, False, sanitize_line(str(answer.get("refused", "the host gave no reason"))))
        replaced = ""
        if (attempt := self._attempts.get(run)) is not None and attempt.key == key:
            replaced = attempt.replaces
            del self._attempts[run]
        present, state = str(answer["key"]), sanitize_line(str(answer.get("state", "")))
        if present != key:
            return Outcome(run, False, _outdated_text(present, state, replaced), present, outdated=True)
        if not answer.get("new") and not state:
            return Outcome(run, False, "another launch has replaced it since", outdated=True)
        note = sanitize_line(str(answer.get("note", "")))  # why it does not start yet
        return Outcome(run, True, (state or "queued") + (f": {note}" if note else ""), key)


def _outdated_text(present: str, state: str, replaced: str) -> str:
    """Why nothing was launched: the host has launch ``present`` of the run, and not ``replaced``, or that is not lost."""
    if not present:
        return "the host no longer has the launch that was to be replaced"
    if present == replaced:
        return f"the launch that was to be replaced is {state} by now"
    if state in ENDED:
        return f"another launch of it is on the host: {state}"
    return "already active under another launch"
