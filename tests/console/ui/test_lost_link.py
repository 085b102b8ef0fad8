"""A lost link: the UI keeps working and shows what the operator can do."""

from __future__ import annotations

import re
import time

from textual.pilot import Pilot

from tests.console.ui.driving import console, notices, screen, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.test_views import busy_session


def age_of_the_loss(pilot: Pilot[None]) -> int:
    """Seconds since the last reply of the host in the status bar; 0 if there are none."""
    match = re.search(r"lost (\d+) s, retrying", screen(pilot))
    return int(match.group(1)) if match else 0


async def test_every_view_can_be_left_and_read_while_the_link_is_lost() -> None:
    session = busy_session()
    session.show(link="lost", detail="connection reset", last_reply_at=time.monotonic() - 12)
    async with console(session) as pilot:
        await until(pilot, lambda: age_of_the_loss(pilot) >= 12, "the age of the loss")
        for key, text in (
            ("1", "connection reset"),
            ("3", "training loss"),
            ("4", "DO NOT SHIP"),
            ("5", "2 items"),
            ("2", "finished"),
        ):
            await pilot.press(key)
            await until_shown(pilot, text, " s, retrying")
            assert age_of_the_loss(pilot) >= 12
        session.show(link="up", last_reply_at=time.monotonic())
        await until_shown(pilot, "● up")


async def test_a_link_that_needs_input_is_marked_and_retried_on_request() -> None:
    session = FakeSession()
    session.show(link="lost", last_reply_at=0.0, detail="its host key was not trusted")
    session.stopped.set()
    async with console(session) as pilot:
        await until_shown(
            pilot, "not reached, needs input", "its host key was not trusted; R in view 1 connects again."
        )
        await pilot.press("1")
        await until_shown(pilot, "Link         ○ not reached, needs input; R connects now", "R connect")
        await pilot.press("R")
        await until_shown(pilot, "not reached, retrying; R connects now")
    assert session.reconnects == 1


async def test_a_console_that_stopped_following_follows_again_on_request() -> None:
    session = FakeSession()
    async with console(session) as pilot:
        await pilot.press("1", "R")
        await until(pilot, lambda: session.reconnects == 1)
        assert session.follows == 1, "what is followed is not followed twice"
        session.follow_errors.put_nowait(RuntimeError("out of file descriptors"))
        await until(pilot, lambda: notices(pilot))
        assert "stopped following the host: out of file descriptors; R in view 1 connects again" in notices(pilot)[-1]
        await pilot.press("R")
        await until(pilot, lambda: session.follows == 2)
        await pilot.press("R")
        await until(pilot, lambda: session.reconnects == 3)
        assert session.follows == 2
