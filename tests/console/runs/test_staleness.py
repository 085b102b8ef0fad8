"""Staleness: silence of a host is noticed, named and over once it replies."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from console.runs.snapshot import HostView, Link
from console.runs.staleness import POLL_WAIT_S, STALE_AFTER_S, staleness

UP = HostView("h", "RAMP", "ssh", "", link="up", last_reply_at=1000.0, runs_reported=True)


def test_a_host_that_answers_its_polls_is_fresh() -> None:
    assert not staleness(UP, 1000.0 + POLL_WAIT_S + 1)
    assert staleness(UP, 1000.0).note == ""


@pytest.mark.parametrize("link", ["up", "lost"])
def test_silence_of_some_polls_is_stale_whatever_the_link_says(link: Link) -> None:
    host = replace(UP, link=link)
    assert not staleness(host, 1000.0 + STALE_AFTER_S)
    found = staleness(host, 1000.0 + 300)
    assert (bool(found), found.note, found.short) == (True, "as of 5 min ago", "5 min ago")


def test_a_reply_ends_it() -> None:
    assert not staleness(replace(UP, last_reply_at=1299.0), 1300.0)


def test_without_a_report_all_is_the_local_copy() -> None:
    never = HostView("h", "RAMP", "ssh", "", link="connecting")
    assert staleness(never, 5.0).note == "local copy"
    assert staleness(replace(never, link="lost"), 5.0).note == "local copy, host not reached"
    assert staleness(replace(never, link="local"), 5.0).note == "local copy"
    assert not staleness(replace(never, link="replay"), 5.0)
