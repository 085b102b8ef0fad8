"""The log follows its end or pauses, is filtered while it grows, and is bounded."""

from __future__ import annotations

from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot

from console.ui.live.log_view import LogView
from engine.contract.settings import RunId
from tests.console.ui.driving import console, screen, until_shown
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
        await until_shown(pilot, "line 99", "following")
        session.log(RUN).feed(b"the newest\n")
        await until_shown(pilot, "the newest")
        await pilot.press("pageup")
        await until_shown(pilot, "paused")
        shown = log_lines(pilot)
        session.log(RUN).feed(b"unseen\n" * 50)
        await until_shown(pilot, "151 lines")
        assert log_lines(pilot) == shown
        await pilot.press("end")
        await until_shown(pilot, "unseen", "following")


async def test_the_wheel_leaves_the_end_and_reaching_it_follows_again() -> None:
    session = session_with(100)
    async with console(session) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "line 99", "following")
        log = pilot.app.screen.query_one(LogView)

        def wheel(event: type[MouseScrollUp | MouseScrollDown]) -> None:
            log.post_message(event(log, 5, 1, 0, 1, 0, False, False, False))

        wheel(MouseScrollUp)
        await until_shown(pilot, "paused")
        wheel(MouseScrollDown)
        wheel(MouseScrollDown)
        await until_shown(pilot, "line 99", "following")


async def test_space_pauses_and_follows_again() -> None:
    session = session_with(100)
    async with console(session) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "following")
        await pilot.press("space")
        await until_shown(pilot, "paused")
        session.log(RUN).feed(b"later\n" * 30)
        await until_shown(pilot, "130 lines")
        assert "later" not in screen(pilot)
        await pilot.press("f")
        await until_shown(pilot, "following", "later")


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


async def test_a_filter_that_finds_nothing_says_how_to_see_every_line() -> None:
    session = session_with(5)
    async with console(session) as pilot:
        await pilot.press("3", "slash", *"qqq")
        await until_shown(pilot, "No line passes the filter")
        session.log(RUN).clear()
        await until_shown(pilot, "No log yet")
        session.log(RUN).feed(b"line 4\n")
        await until_shown(pilot, "No line passes the filter")
        await pilot.press("escape")
        await until_shown(pilot, "line 4")


async def test_another_launch_of_the_run_shows_its_own_log() -> None:
    session = session_with(30)
    async with console(session) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "line 29")
        session.log(RUN).clear()
        session.log(RUN).feed(b"".join(b"second launch %d\n" % number for number in range(40)))
        session.show(view_of(RUN, "running", key="another"))
        text = await until_shown(pilot, "second launch 39", "40 lines")
        assert "line 29" not in text


async def test_wide_and_long_lines_are_cut_at_the_edge_and_reached_sideways() -> None:
    session = session_with(0)
    session.log(RUN).feed(("日本" * 60 + "|end\n").encode())
    async with console(session) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "日本")
        await pilot.press(*["right"] * 9)
        await until_shown(pilot, "|end")


async def test_a_line_that_goes_on_beyond_the_window_has_an_ellipsis_there() -> None:
    session = session_with(0)
    session.log(RUN).feed(("a" * 100 + "b" * 10 + "\nshort\n").encode())
    async with console(session) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "aaa…", "short ")
        assert "short…" not in screen(pilot)
        await pilot.press(*["right"] * 3)
        text = await until_shown(pilot, "…aaa", "bbb ")
        assert "aaa…" not in text and "b…" not in text
