"""View 1's checklist: looked at once by itself and again on request, repaired after a question, never in the way."""

from __future__ import annotations

import asyncio
import time

import pytest
from msgspec.structs import replace

from console.ui.host.checklist import Checklist
from tests.console.ui.driving import LARGE, SMALL, console, notices, screen, select_check, until, until_shown
from tests.console.ui.fake_session import ILL, FakeSession, ill_session

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE])


async def test_the_host_is_looked_at_once_by_itself_whatever_the_link_does_then() -> None:
    session = ill_session()
    session.show(link="connecting")
    async with console(session) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "Preflight    once the host is reached; p looks again")
        assert session.looks == 0
        session.show(link="up")
        await until_shown(pilot, "2 blockers, 2 warnings; looked ")
        await until(pilot, lambda: "Preflight: 2 blockers, 2 warnings; see view 1." in notices(pilot))
        for link in ("lost", "connecting", "up"):
            session.show(link=link, detail=f"now {link}")
            await until_shown(pilot, f"now {link}")
        assert session.looks == 1


async def test_a_host_that_is_well_is_looked_at_without_a_word() -> None:
    session = FakeSession()
    async with console(session) as pilot:
        await until(pilot, lambda: session.looks == 1)
        await pilot.press("1")
        await until_shown(pilot, "Preflight    all well; looked ", "✓ ok", "L40S, 45 GiB")
        assert not notices(pilot)


async def test_a_first_look_that_the_link_broke_is_had_when_the_link_is_back() -> None:
    session = ill_session()
    session.cannot_look = ConnectionError("the link broke [bold]now[/bold]")
    async with console(session) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "could not look: the link broke [bold]now[/bold]", "p looks again")
        session.show(link="lost", detail="gone")
        await until_shown(pilot, "gone")
        session.cannot_look = None
        session.show(link="up")
        await until_shown(pilot, "2 blockers, 2 warnings; looked ")
        assert session.looks == 2


@SIZES
async def test_each_check_says_how_it_is_what_was_found_and_what_to_do(size: tuple[int, int]) -> None:
    async with console(ill_session(), size) as pilot:
        await pilot.press("1")
        for check, sign in (
            (ILL[0], "✓ ok"),
            (ILL[2], "! warning"),
            (ILL[4], "✗ blocker"),
            (ILL[6], "✗ blocker"),
            (ILL[8], "! warning"),
        ):
            await select_check(pilot, check.name)
            await until_shown(pilot, f"> {sign.ljust(10)}{check.name}")
            for words in (check.found.partition("SHA256:")[0], check.advice):
                await until(pilot, lambda words=words: words in " ".join(screen(pilot).split()))  # type: ignore[misc]
        await select_check(pilot, "engine")
        await until_shown(pilot, "Make its environment.  e does it")


async def test_the_cursor_begins_with_what_blocks_and_stays_with_its_check() -> None:
    session = ill_session()
    async with console(session) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "> ✗ blocker disk")
        await select_check(pilot, "engine")
        session.checks = ILL[3:]
        await pilot.press("p")
        await until(pilot, lambda: session.looks == 2)
        await until_shown(pilot, "2 blockers, 1 warning", "> ✗ blocker engine")
        session.checks = ILL[:4]
        await pilot.press("p")
        await until_shown(pilot, "> ! warning GPU users")


async def test_a_click_selects_a_check() -> None:
    async with console(ill_session(), LARGE) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "> ✗ blocker disk")
        lines = screen(pilot).splitlines()
        first, wanted = (
            next(at for at, line in enumerate(lines) if text in line) for text in (" login ", "Make its environment.")
        )
        await pilot.click(Checklist, offset=(40, wanted - first))
        await until_shown(pilot, "> ✗ blocker engine")


async def test_looking_again_shows_that_it_goes_on_and_can_be_left() -> None:
    session = FakeSession()
    async with console(session) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "all well")
        session.looking = asyncio.Event()
        session.checks = ILL
        await pilot.press("p", "p")
        await until_shown(pilot, "all well; looked ", "; looking, ")
        await pilot.press("2")
        await until_shown(pilot, "press a to launch all nine")
        session.looking.set()
        await pilot.press("1")
        await until_shown(pilot, "2 blockers, 2 warnings")
        assert session.looks == 2


async def test_checks_stay_with_their_age_when_a_later_look_fails() -> None:
    session = ill_session()
    async with console(session) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "2 blockers")
        session.cannot_look = ConnectionError("there is no link to the host")
        await pilot.press("p")
        await until_shown(
            pilot, "2 blockers, 2 warnings; looked ", "could not look: there is no link to the host", "✗ blocker disk"
        )
        session.cannot_look = None
        await pilot.press("p")
        await until(pilot, lambda: "could not look" not in screen(pilot))


async def test_the_facts_are_reached_beyond_the_last_check() -> None:
    async with console(ill_session()) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "> ✗ blocker disk")
        assert "GPU memory" not in screen(pilot)
        await pilot.press(*["down"] * 12)
        await until_shown(pilot, "GPU memory", "These facts")
        await pilot.press("home")
        await until_shown(pilot, "● up, ", "Host key")


@pytest.mark.parametrize("size", [(20, 6), (40, 10), (1, 1), (300, 90)])
async def test_no_size_breaks_the_checklist(size: tuple[int, int]) -> None:
    session = ill_session()
    session.checks = (*ILL, replace(ILL[2], found=""), replace(ILL[2], name="a name that is longer than its column"))
    async with console(session, size) as pilot:
        await pilot.press("1", *["down"] * 12)
        session.show(heard=time.monotonic())
        await pilot.resize_terminal(80, 24)
        await pilot.press("home")
        await until_shown(pilot, "2 blockers")
