"""Driving the console as a user would: open it, press keys, wait until something is so, read the screen."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from console.ui.app import ConsoleApp
from tests.console.ui.fake_session import FakeSession

SMALL, LARGE = (80, 24), (120, 40)
DEADLINE_S = 20.0


async def until(pilot: Pilot[None], condition: Callable[[], object], what: str = "") -> None:
    """Let the console work until ``condition`` holds.

    Raises:
        AssertionError: it does not within the deadline; the screen is in the message.
    """
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what or condition}\n{screen(pilot)}")
        await pilot.pause()


async def until_shown(pilot: Pilot[None], *texts: str) -> str:
    """Wait until every text is on the screen; returns the screen."""
    await until(pilot, lambda: all(text in screen(pilot) for text in texts), f"{texts}")
    return screen(pilot)


def screen(pilot: Pilot[None]) -> str:
    """What the terminal shows, line by line, a dialogue without what lies under it."""
    return "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())


@asynccontextmanager
async def console(
    session: FakeSession, size: tuple[int, int] = SMALL, *, read_only: bool = False
) -> AsyncIterator[Pilot[None]]:
    """A console over ``session``, past its start."""
    app = ConsoleApp(lambda: session, session.experiment, session.snapshot.profile, "this machine", read_only)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.main.snapshot is not None and app.main.snapshot.host.link != "starting")
        yield pilot


def notices(pilot: Pilot[None]) -> list[str]:
    """What the console said in passing."""
    return [notice.message for notice in pilot.app._notifications]
