"""Drives the console as a user would: open it, press keys, wait for a condition, read the screen."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from textual.app import App
from textual.pilot import Pilot

from console.ui.app import ConsoleApp
from console.ui.commands import Severity
from console.ui.dialogs import ConfirmDialog
from console.ui.host.checklist import Checklist
from tests.console.ui.fake_session import FakeSession

SMALL, LARGE = (80, 24), (120, 40)
SIZES = pytest.mark.parametrize("size", [SMALL, LARGE])
HOSTILE = "[bold red]x[/] [/] [link=http://a]b"  # markup, in texts that a host may send
DEADLINE_S = 60.0
_notices: WeakKeyDictionary[App[None], list[str]] = WeakKeyDictionary()


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

    def shown() -> bool:
        found = screen(pilot)  # drawn once for all texts
        return all(text in found for text in texts)

    await until(pilot, shown, f"{texts}")
    return screen(pilot)


def screen(pilot: Pilot[None]) -> str:
    """What the terminal shows, line by line, a dialog without what lies under it."""
    return "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())


def asked(pilot: Pilot[None]) -> bool:
    """Whether the console asks for a confirmation."""
    return isinstance(pilot.app.screen, ConfirmDialog)


@asynccontextmanager
async def console(
    session: FakeSession, size: tuple[int, int] = SMALL, *, read_only: bool = False, **appearance: Any
) -> AsyncIterator[Pilot[None]]:
    """A console over ``session``, past its start; ``appearance`` as the app takes it: settings, moved_keys, glyphs."""
    app = ConsoleApp(
        lambda _: session, session.experiment, session.snapshot.profile, "this machine", read_only, **appearance
    )
    record_notices(app)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.main.snapshot is not None and app.main.snapshot.host.link != "starting")
        yield pilot


def record_notices(app: ConsoleApp) -> None:
    """Record every notice, however soon it leaves the screen."""
    show, texts = app.show_notice, _notices.setdefault(app, [])

    def keep(text: str, severity: Severity = "information", seconds: float | None = None) -> None:
        texts.append(text)
        show(text, severity, seconds)

    app.show_notice = keep  # type: ignore[method-assign]


def notices(pilot: Pilot[None]) -> list[str]:
    """All notices so far."""
    return _notices[pilot.app]


async def select_check(pilot: Pilot[None], name: str) -> None:
    """Go down to a check, as one would, one at a time."""
    checklist = pilot.app.screen.query_one(Checklist)
    await until(pilot, lambda: checklist.selected, "there are checks")
    await pilot.press("pageup", *["up"] * len(checklist.preflight_state.checks))
    while checklist.selected and checklist.selected.name != name:
        await pilot.press("down")
