"""Repairs from view 1: named before they begin, followed while they go on, never in the way."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from console.hosts.preflight.checks import Check
from console.ui.dialogs.confirm import ConfirmDialog
from tests.console.ui.driving import LARGE, SMALL, console, notices, screen, select_check, until, until_shown
from tests.console.ui.fake_session import WELL, FakeSession, ill_session

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE])
HOSTILE = "[bold red]x[/] [/] [link=http://a]b"


def asked(pilot: Pilot[None]) -> bool:
    return isinstance(pilot.app.screen, ConfirmDialog)


async def repairing(pilot: Pilot[None], session: FakeSession) -> None:
    """Begin the repair of the engine."""
    await pilot.press("1")
    await select_check(pilot, "engine")
    await pilot.press("e")
    await until(pilot, lambda: asked(pilot))
    await pilot.press("y")
    await until(pilot, lambda: session.repairs)


@SIZES
async def test_a_repair_names_what_it_makes_and_where_and_only_y_begins_it(size: tuple[int, int]) -> None:
    session = ill_session()
    async with console(session, size) as pilot:
        await pilot.press("1")
        await select_check(pilot, "engine")
        await pilot.press("e")
        await until_shown(
            pilot, "Make the engine's environment on this machine", "127.0.0.1:2222", "/srv/work/env", "GB"
        )
        for key in ("e", "enter", "space", "p"):
            await pilot.press(key)
            await pilot.pause()
            assert asked(pilot)
        await pilot.press("n")
        await until(pilot, lambda: not asked(pilot))
        assert not session.repairs
        await pilot.press("e")
        await until(pilot, lambda: asked(pilot))
        await pilot.press("y")
        await until(pilot, lambda: session.repairs == ["environment"])


@SIZES
async def test_a_repair_tells_how_far_it_is_can_be_left_alone_and_ends_with_a_look(size: tuple[int, int]) -> None:
    session = ill_session()
    async with console(session, size) as pilot:
        await repairing(pilot, session)
        session.repair_says.put_nowait("installing torch [1/2]")
        await until_shown(pilot, "installing torch [1/2], 0:0", "repairing engine, ", "Esc stops waiting")
        await pilot.press("e")
        await until(pilot, lambda: any("Still repairing engine" in said for said in notices(pilot)))
        await pilot.press("2")
        await until_shown(pilot, "press a to launch all nine", "repairing engine, ")
        session.repair_says.put_nowait("installing torch [2/2]")
        await pilot.press("1")
        await until_shown(pilot, "installing torch [2/2], 0:0")
        session.checks = WELL
        session.repair_says.put_nowait("ready")
        session.repair_says.put_nowait(None)
        await until_shown(pilot, "all well", "ready after 0:0", "engine: ready")
        assert session.looks == 2
        assert "repairing" not in screen(pilot).splitlines()[1]
        await pilot.press("p")
        await until(pilot, lambda: "ready after" not in screen(pilot).replace("engine: ready", ""))


async def test_a_repair_whose_link_breaks_says_so_and_can_be_begun_again() -> None:
    session = ill_session()
    async with console(session, LARGE) as pilot:
        await repairing(pilot, session)
        session.repair_says.put_nowait("installing torch")
        session.repair_says.put_nowait(ConnectionError("the link [b]broke[/b]"))
        await until_shown(pilot, "the link [b]broke[/b] after 0:0", "last: installing torch")
        await until(pilot, lambda: session.looks == 2)
        await pilot.press("e")
        await until(pilot, lambda: asked(pilot))
        await pilot.press("y")
        await until(pilot, lambda: len(session.repairs) == 2)


async def test_waiting_for_a_repair_can_be_stopped() -> None:
    session = ill_session()
    async with console(session, LARGE) as pilot:
        await repairing(pilot, session)
        session.repair_says.put_nowait("installing torch")
        await until_shown(pilot, "installing torch, 0:0")
        await pilot.press("escape")
        await until_shown(pilot, "no longer waited for after 0:0")
        await until(pilot, lambda: not session.repairing and session.looks == 2)
        assert "repairing" not in screen(pilot).splitlines()[1]


async def test_what_cannot_be_done_from_here_is_said_and_nothing_asked() -> None:
    session = ill_session()
    async with console(session) as pilot:
        await pilot.press("1")
        await select_check(pilot, "disk")
        await pilot.press("e")
        await until(pilot, lambda: "disk: there is nothing that can be done from here." in notices(pilot))
        assert not asked(pilot)


@pytest.mark.parametrize("why", ["read-only", "lease"])
async def test_a_console_that_may_change_nothing_looks_but_repairs_nothing(why: str) -> None:
    session = ill_session()
    if why == "lease":
        session.show(lease="ann@laptop")
    async with console(session, read_only=why == "read-only") as pilot:
        await pilot.press("1")
        await select_check(pilot, "engine")
        assert ("e repair" in screen(pilot).splitlines()[-1]) is (why == "lease")
        await pilot.press("e")
        said = "Read-only" if why == "read-only" else "ann@laptop"
        await until(pilot, lambda: any(said in notice for notice in notices(pilot)))
        assert not asked(pilot)
        await pilot.press("p")
        await until(pilot, lambda: session.looks == 2)
    assert not session.repairs


async def test_what_the_host_says_is_shown_and_never_obeyed() -> None:
    session = FakeSession()
    session.checks = (Check("engine", "blocker", HOSTILE, HOSTILE, "wordnet"),)
    async with console(session, LARGE) as pilot:
        await pilot.press("1")
        await until_shown(pilot, HOSTILE, f"{HOSTILE}  e does it")
        await pilot.press("e")
        await until_shown(pilot, "Fetch WordNet 3.0 on this machine (127.0.0.1:2222)")
        await pilot.press("y")
        session.repair_says.put_nowait(HOSTILE)
        await until_shown(pilot, f"{HOSTILE}, 0:0")
