"""A launch keeps its key until the host has answered it, and the host's answer is understood."""

from __future__ import annotations

import pytest

from console.runs.launch_attempts import LaunchAttempts, Outcome
from engine.contract.settings import RunId

RUN = RunId("A", 42)


def test_a_launch_keeps_its_key_until_the_host_has_answered_what_became_of_it() -> None:
    attempts = LaunchAttempts()
    key = attempts.attempt(RUN, "a" * 32).key
    assert attempts.attempt(RUN, "a" * 32).key == key, "it may have run, and its answer was lost"
    assert attempts.attempt(RUN, key).key != key, "a launch in place of another one is another launch"
    key = attempts.attempt(RUN, "").key
    answer = {"new": False, "key": key, "state": "finished"}
    assert attempts.outcome(RUN, key, answer) == Outcome(RUN, True, "finished", key)
    assert attempts.attempt(RUN, "").key != key
    answer = {"new": False, "key": key, "state": ""}
    assert not attempts.outcome(RUN, key, answer).done, "it ran, and the run was launched again since"
    answer = {"new": True, "key": key, "state": "queued", "note": "the disk is full"}
    assert attempts.outcome(RUN, key, answer).note == "queued: the disk is full"


@pytest.mark.parametrize(
    ("key", "state", "note"),
    [
        ("b" * 32, "running", "already active under another launch"),
        ("b" * 32, "finished", "another launch of it is on the host: finished"),
        ("a" * 32, "finished", "the launch that was to be replaced is finished by now"),
        ("", "", "the host no longer has the launch that was to be replaced"),
    ],
)
def test_a_launch_in_place_of_another_than_the_plan_was_made_from_starts_nothing(
    key: str, state: str, note: str
) -> None:
    attempts = LaunchAttempts()
    asked = attempts.attempt(RUN, "a" * 32).key
    outcome = attempts.outcome(RUN, asked, {"new": False, "key": key, "state": state})
    assert outcome == Outcome(RUN, False, note, key, outdated=True)
