"""Preflight in view 1: checked once by itself, again on request, repaired after a question."""

from __future__ import annotations

import asyncio
import time

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from console.hosts.preflight.checks import Check
from console.runs.snapshot import SyncState
from console.ui.host.checklist import Checklist
from tests.console.ui.driving import (
    HOSTILE,
    LARGE,
    SIZES,
    asked,
    console,
    notices,
    screen,
    select_check,
    until,
    until_shown,
)
from tests.console.ui.fake_session import ILL, WELL, FakeSession, ill_session
from tests.console.ui.scenes import finished


async def repairing(pilot: Pilot[None], session: FakeSession) -> None:
    """Start the repair of the engine."""
    await pilot.press("1")
    await select_check(pilot, "engine")
    await pilot.press("enter")
    await until(pilot, lambda: asked(pilot))
    await pilot.press("y")
    await until(pilot, lambda: session.repairs)


async def test_the_host_is_checked_once_by_itself_whatever_the_link_does_then() -> None:
    session = ill_session()
    session.show(link="connecting")
    async with console(session) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "Preflight    starts once the host is connected; p checks again")
        assert session.preflights == 0
        session.show(link="up")
        await until_shown(pilot, "2 blockers, 2 warnings; checked ")
        assert not notices(pilot), "a notice would cover the checks that it is about"
        for link in ("lost", "connecting", "up"):
            session.show(link=link, detail=f"now {link}")
            await until_shown(pilot, f"now {link}")
        assert session.preflights == 1


async def test_in_another_view_a_notice_reports_what_blocks() -> None:
    async with console(ill_session()) as pilot:
        await until(pilot, lambda: "Preflight: 2 blockers, 2 warnings; see view 1." in notices(pilot))


async def test_a_host_without_problems_is_checked_without_a_notice() -> None:
    session = FakeSession()
    async with console(session) as pilot:
        await until(pilot, lambda: session.preflights == 1)
        await pilot.press("1")
        await until_shown(pilot, "Preflight    all checks ok; checked ", "✓ ok", "L40S, 45 GiB")
        assert not notices(pilot)


async def test_a_first_check_that_failed_is_repeated_when_the_link_is_back() -> None:
    session = ill_session()
    session.preflight_error = ConnectionError("the link broke [bold]now[/bold]")
    async with console(session) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "could not check: the link broke [bold]now[/bold]", "p checks again")
        session.show(link="lost", detail="gone")
        await until_shown(pilot, "gone")
        session.preflight_error = None
        session.show(link="up")
        await until_shown(pilot, "2 blockers, 2 warnings; checked ")
        assert session.preflights == 2


@SIZES
async def test_each_check_shows_status_finding_and_advice(size: tuple[int, int]) -> None:
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
        await until_shown(pilot, "Make its environment.  Enter does it")


async def test_the_cursor_begins_with_what_blocks_and_stays_with_its_check() -> None:
    session = ill_session()
    async with console(session) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "> ✗ blocker disk")
        await select_check(pilot, "engine")
        session.checks = ILL[3:]
        await pilot.press("p")
        await until(pilot, lambda: session.preflights == 2)
        await until_shown(pilot, "2 blockers, 1 warning", "> ✗ blocker engine")
        session.checks = ILL[:4]
        await pilot.press("p")
        await until_shown(pilot, "> ! warning GPU users")


async def test_opened_after_the_preflight_the_view_shows_what_blocks() -> None:
    session = ill_session()
    states = dict.fromkeys(list(session.snapshot.runs)[:3], SyncState("damaged", note="its checksum is another " * 5))
    session.show(*map(finished, states), sync_states=states)
    async with console(session) as pilot:
        await until(pilot, lambda: notices(pilot))
        await pilot.press("1")
        await until_shown(pilot, "> ✗ blocker disk")


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


async def test_checking_again_shows_its_progress_and_does_not_hold_up_other_views() -> None:
    session = FakeSession()
    async with console(session) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "all checks ok")
        session.preflight_gate = asyncio.Event()
        session.checks = ILL
        await pilot.press("p", "p")
        await until_shown(pilot, "all checks ok; checked ", "; checking, ")
        await pilot.press("2")
        await until_shown(pilot, "press a to launch all nine")
        session.preflight_gate.set()
        await pilot.press("1")
        await until_shown(pilot, "2 blockers, 2 warnings")
        assert session.preflights == 2


async def test_checks_stay_with_their_age_when_a_later_check_fails() -> None:
    session = ill_session()
    async with console(session) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "2 blockers")
        session.preflight_error = ConnectionError("there is no link to the host")
        await pilot.press("p")
        await until_shown(
            pilot, "2 blockers, 2 warnings; checked ", "could not check: there is no link to the host", "✗ blocker disk"
        )
        session.preflight_error = None
        await pilot.press("p")
        await until(pilot, lambda: "could not check" not in screen(pilot))


async def test_the_facts_are_reached_beyond_the_last_check() -> None:
    async with console(ill_session()) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "> ✗ blocker disk")
        assert "GPU memory" not in screen(pilot)
        await pilot.press(*["down"] * 12)
        await until_shown(pilot, "GPU memory", "Updated")
        await pilot.press("home")
        await until_shown(pilot, "● up, ", "Host key")


@pytest.mark.parametrize("size", [(20, 6), (40, 10), (1, 1), (300, 90)])
async def test_no_size_breaks_the_checklist(size: tuple[int, int]) -> None:
    session = ill_session()
    session.checks = (*ILL, replace(ILL[2], found=""), replace(ILL[2], name="a name that is longer than its column"))
    async with console(session, size) as pilot:
        await pilot.press("1", *["down"] * 12)
        session.show(last_reply_at=time.monotonic())
        await pilot.resize_terminal(80, 24)
        await pilot.press("home")
        await until_shown(pilot, "2 blockers")


@SIZES
async def test_a_repair_names_what_it_makes_and_where_and_only_y_starts_it(size: tuple[int, int]) -> None:
    session = ill_session()
    async with console(session, size) as pilot:
        await pilot.press("1")
        await select_check(pilot, "engine")
        await pilot.press("enter")
        await until_shown(
            pilot, "Make the engine's environment on this machine", "127.0.0.1:2222", "/srv/qllm/env", "GiB"
        )
        for key in ("enter", "e", "space", "p"):
            await pilot.press(key)
            await pilot.pause()
            assert asked(pilot)
        await pilot.press("n")
        await until(pilot, lambda: not asked(pilot))
        assert not session.repairs
        await pilot.press("enter")
        await until(pilot, lambda: asked(pilot))
        await pilot.press("y")
        await until(pilot, lambda: session.repairs == ["environment"])


@SIZES
async def test_a_repair_shows_its_progress_in_every_view_and_ends_with_a_check(size: tuple[int, int]) -> None:
    session = ill_session()
    async with console(session, size) as pilot:
        await repairing(pilot, session)
        session.repair_steps.put_nowait("installing torch [1/2]")
        await until_shown(pilot, "installing torch [1/2], 0:0", "repairing engine, ", "Esc stops waiting")
        await pilot.press("enter")
        await until(pilot, lambda: any("Still repairing engine" in notice for notice in notices(pilot)))
        await pilot.press("2")
        await until_shown(pilot, "press a to launch all nine", "repairing engine, ")
        session.repair_steps.put_nowait("installing torch [2/2]")
        await pilot.press("1")
        await until_shown(pilot, "installing torch [2/2], 0:0")
        session.checks = WELL
        session.repair_steps.put_nowait("ready")
        session.repair_steps.put_nowait(None)
        await until_shown(pilot, "all checks ok", "ready after 0:0", "engine: ready")
        assert session.preflights == 2
        assert "repairing" not in screen(pilot).splitlines()[1]
        await pilot.press("p")
        await until(pilot, lambda: "ready after" not in screen(pilot).replace("engine: ready", ""))


async def test_a_repair_whose_link_breaks_reports_it_and_can_be_started_again() -> None:
    session = ill_session()
    async with console(session, LARGE) as pilot:
        await repairing(pilot, session)
        session.repair_steps.put_nowait("installing torch")
        session.repair_steps.put_nowait(ConnectionError("the link [b]broke[/b]"))
        await until_shown(pilot, "the link [b]broke[/b] after 0:0", "last: installing torch")
        await until(pilot, lambda: session.preflights == 2)
        await pilot.press("enter")
        await until(pilot, lambda: asked(pilot))
        await pilot.press("y")
        await until(pilot, lambda: len(session.repairs) == 2)


async def test_waiting_for_a_repair_can_be_stopped() -> None:
    session = ill_session()
    async with console(session, LARGE) as pilot:
        await repairing(pilot, session)
        session.repair_steps.put_nowait("installing torch")
        await until_shown(pilot, "installing torch, 0:0")
        await pilot.press("escape")
        await until_shown(pilot, "no longer waited for after 0:0")
        await until(pilot, lambda: not session.repairing and session.preflights == 2)
        assert "repairing" not in screen(pilot).splitlines()[1]


async def test_what_the_console_cannot_repair_is_reported_and_nothing_asked() -> None:
    session = ill_session()
    async with console(session) as pilot:
        await pilot.press("1")
        await select_check(pilot, "disk")
        await pilot.press("enter")
        await until(pilot, lambda: "disk: the console cannot repair this." in notices(pilot))
        assert not asked(pilot)


@pytest.mark.parametrize("why", ["read-only", "lease"])
async def test_a_console_that_may_change_nothing_checks_but_repairs_nothing(why: str) -> None:
    session = ill_session()
    if why == "lease":
        session.show(lease="ann@laptop")
    async with console(session, read_only=why == "read-only") as pilot:
        await pilot.press("1")
        await select_check(pilot, "engine")
        assert ("Enter repair" in screen(pilot).splitlines()[-1]) is (why == "lease")
        await pilot.press("enter")
        expected = "Read-only" if why == "read-only" else "ann@laptop"
        await until(pilot, lambda: any(expected in notice for notice in notices(pilot)))
        assert not asked(pilot)
        await pilot.press("p")
        await until(pilot, lambda: session.preflights == 2)
    assert not session.repairs


async def test_text_of_the_host_is_never_read_as_markup() -> None:
    session = FakeSession()
    session.checks = (Check("engine", "blocker", HOSTILE, HOSTILE, "wordnet"),)
    async with console(session, LARGE) as pilot:
        await pilot.press("1")
        await until_shown(pilot, HOSTILE, f"{HOSTILE}  Enter does it")
        await pilot.press("enter")
        await until_shown(pilot, "Fetch WordNet 3.0 on this machine (127.0.0.1:2222)")
        await pilot.press("y")
        session.repair_steps.put_nowait(HOSTILE)
        await until_shown(pilot, f"{HOSTILE}, 0:0")
