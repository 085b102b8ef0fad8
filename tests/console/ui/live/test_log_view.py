"""The log follows, holds still, is searched while it grows, and costs what is in sight."""

from __future__ import annotations

import time

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from console.runs.log_buffer import LogBuffer
from console.ui.live.log_filter import LogFilter
from console.ui.live.log_view import LogView
from engine.contract.settings import RunId
from tests.console.ui.driving import console, screen, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import training, view_of

RUN = RunId("A", 42)


def session_with(lines: int) -> FakeSession:
    session = FakeSession()
    session.show(view_of(RUN, "running", training(20)))
    session.log(RUN).feed(b"".join(b"line %d\n" % number for number in range(lines)))
    return session


def log_lines(pilot: Pilot[None]) -> list[str]:
    """The lowest lines of the log, without its scrollbar."""
    return [line[:-1] for line in screen(pilot).splitlines()[-8:-1]]


async def test_new_lines_are_followed_until_the_operator_scrolls_up() -> None:
    session = session_with(100)
    async with console(session) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "line 99", "syncing")
        session.log(RUN).feed(b"the newest\n")
        await until_shown(pilot, "the newest")
        await pilot.press("pageup")
        await until_shown(pilot, "held still")
        held = log_lines(pilot)
        session.log(RUN).feed(b"unseen\n" * 50)
        await until_shown(pilot, "151 lines")
        assert log_lines(pilot) == held
        await pilot.press("end")
        await until_shown(pilot, "unseen", "syncing")


async def test_lines_held_stay_in_place_while_the_oldest_go() -> None:
    session = session_with(20_000)
    async with console(session) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "line 19999")
        await pilot.press("pageup")
        await until_shown(pilot, "held still")
        held = log_lines(pilot)
        session.log(RUN).feed(b"more\n" * 1000)
        await until_shown(pilot, "21,000 lines")
        await until(pilot, lambda: log_lines(pilot) == held, "the same lines in the same place")


async def test_space_holds_still_and_follows_again() -> None:
    session = session_with(100)
    async with console(session) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "syncing")
        await pilot.press("space")
        await until_shown(pilot, "held still")
        session.log(RUN).feed(b"later\n" * 30)
        await until_shown(pilot, "130 lines")
        assert "later" not in screen(pilot)
        await pilot.press("f")
        await until_shown(pilot, "syncing", "later")


async def test_a_filter_shows_what_it_names_while_following_and_keys_are_text_there() -> None:
    session = session_with(100)
    session.log(RUN).feed(b"loss 1.5\nloss nan\n")
    async with console(session) as pilot:
        await pilot.press("3", "slash")
        await pilot.press(*"loss", "space", *"!nan")
        await until_shown(pilot, "1 of 102 lines", "loss 1.5")
        assert "loss nan" not in screen(pilot)
        session.log(RUN).feed(b"x\nloss 0.7\n")
        await until_shown(pilot, "2 of 104 lines", "loss 0.7")
        await pilot.press("enter", "s")
        await until_shown(pilot, "2 of 104 lines")
        await pilot.press("escape")
        await until_shown(pilot, "log: 104 lines", "line 99")


async def test_a_filter_that_finds_nothing_says_how_to_go_on() -> None:
    async with console(session_with(5)) as pilot:
        await pilot.press("3", "slash", *"qqq")
        await until_shown(pilot, "No line passes the filter")
        await pilot.press("escape")
        await until_shown(pilot, "line 4")


async def test_another_launch_of_the_run_shows_its_own_log() -> None:
    session = session_with(30)
    async with console(session) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "line 29")
        session.log(RUN).clear()
        session.log(RUN).feed(b"".join(b"second life %d\n" % number for number in range(40)))
        session.show(view_of(RUN, "running", key="another"))
        text = await until_shown(pilot, "second life 39", "40 lines")
        assert "line 29" not in text


async def test_wide_and_long_lines_are_cut_at_the_edge_and_reached_sideways() -> None:
    session = session_with(0)
    session.log(RUN).feed(("日本" * 60 + "|end\n").encode())
    async with console(session) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "日本")
        await pilot.press(*["right"] * 9)
        await until_shown(pilot, "|end")


class OnlyLog(App[None]):
    def compose(self) -> ComposeResult:
        yield LogView()


async def feed_cost(pilot: Pilot[None], view: LogView, buffer: LogBuffer, lines: int) -> float:
    chunk = b"a line of the usual length, with a loss of 0.1234 at step 5678\n" * lines
    buffer.feed(chunk)
    start = time.perf_counter()
    view.poll()
    await pilot.pause()
    return time.perf_counter() - start


async def test_twenty_thousand_lines_at_once_cost_less_than_a_tick() -> None:
    async with OnlyLog().run_test(size=(80, 24)) as pilot:
        view, buffer = pilot.app.query_one(LogView), LogBuffer()
        view.show(buffer)
        view.set_filter(LogFilter.parse("loss !nan"))
        assert await feed_cost(pilot, view, buffer, 20_000) < 0.25
