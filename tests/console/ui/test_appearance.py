"""What the console looks like: ASCII and NO_COLOR in every view, themes, moved keys."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.pilot import Pilot

from console.glyphs import ASCII, to_ascii
from console.ui.actions import move_keys
from console.ui.keymap import VIM_KEYS
from console.ui.terminal import BackgroundReported, ReplyParser, ask_background
from console.user_settings import UserSettings
from engine.contract.settings import RunId
from tests.console.ui.driving import LARGE, SIZES, asked, console, screen, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.test_views import SHOWN_ONCE_COMPLETE, busy_session

# What each view shows once it is complete, in ASCII and else.
SHOWN = {
    view: (tuple(text.replace("≥", ">=") if "≥" in text else to_ascii(text) for text in texts), texts)
    for view, texts in SHOWN_ONCE_COMPLETE.items()
} | {"5": (("showing 2 of 2", "# all"), SHOWN_ONCE_COMPLETE["5"])}


@SIZES
async def test_in_ascii_no_sign_of_ours_is_beyond_it_in_any_view_or_dialog(size: tuple[int, int]) -> None:
    async with console(busy_session(), size, glyphs=ASCII) as pilot:
        for key, (texts, _) in SHOWN.items():
            await pilot.press(key)
            assert (await until_shown(pilot, *texts)).isascii(), screen(pilot)
        for opening, text in (
            ("question_mark", "Esc closes"),
            ("ctrl+p", "Search for commands"),
            ("F", "Only items of"),
            ("c", "Enter copies"),
            ("ctrl+e", "Enter writes"),
        ):
            await pilot.press(opening)
            assert (await until_shown(pilot, text)).isascii(), screen(pilot)
            await pilot.press("escape")
            await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
        await pilot.press("2", "X")
        await until(pilot, lambda: asked(pilot))
        assert screen(pilot).isascii(), screen(pilot)


async def test_a_key_turns_every_frame_to_ascii_and_back() -> None:
    async with console(busy_session()) as pilot:
        await until_shown(pilot, "╭─ A/123", "▶ running")
        await pilot.press("G", "G")
        assert (await until_shown(pilot, "+- A/123", "> running")).isascii()
        await pilot.press("3")
        await until_shown(pilot, "following")
        await pilot.press("G", "2")
        await until_shown(pilot, "╭─ A/123", "▶ running")


async def test_letters_of_other_scripts_stay_in_ascii() -> None:
    session = FakeSession()
    session.show(title="Gerät 東")
    async with console(session, glyphs=ASCII) as pilot:
        await until_shown(pilot, "Gerät 東")


@SIZES
async def test_without_colours_every_view_is_readable(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with console(busy_session(), size) as pilot:
        for key, (_, texts) in SHOWN.items():
            await pilot.press(key)
            await until_shown(pilot, *texts)
            for strip in pilot.app.screen._compositor.render_strips():
                for segment in strip:
                    style = segment.style
                    if style is None or not segment.text.strip() or style.reverse:
                        continue
                    colours = [colour.get_truecolor() for colour in (style.color, style.bgcolor) if colour]
                    assert all(red == green == blue for red, green, blue in colours), segment
                    assert len(colours) == 2 and abs(colours[0].red - colours[1].red) > 60, segment


@pytest.mark.parametrize(
    ("choice", "colorfgbg", "name"),
    [("auto", "", "normal-dark"), ("auto", "0;15", "normal-light"), ("colour-blind-dark", "0;15", "colour-blind-dark")],
)
async def test_the_theme_is_that_of_the_settings_else_that_of_the_environment(
    choice: str, colorfgbg: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLORFGBG", colorfgbg)
    async with console(FakeSession(), settings=UserSettings(theme=choice)) as pilot:  # type: ignore[arg-type]
        assert pilot.app.theme == name


async def test_a_light_terminal_that_answers_in_time_makes_the_theme_light_and_a_late_reply_nothing() -> None:
    async with console(busy_session()) as pilot:
        app: App[None] = pilot.app
        ask_background(lambda _: None)
        app.post_message(BackgroundReported("rgb:ffff/ffff/ffff"))
        await until(pilot, lambda: app.theme == "normal-light")
        ReplyParser.asked_at = float("-inf")
        app.post_message(BackgroundReported("rgb:0000/0000/0000"))
        await pilot.pause()
        assert app.theme == "normal-light"
        await until_shown(pilot, "▶ running")


async def vim(pilot: Pilot[None], key: str, text: str) -> None:
    """Press ``key``; wait for ``text``."""
    await pilot.press(key)
    await until_shown(pilot, text)


async def test_the_keys_of_vim_move_and_launch_is_moved_out_of_their_way() -> None:
    session = busy_session()
    try:
        async with console(session, LARGE, moved_keys=VIM_KEYS) as pilot:
            await until_shown(pilot, "Ctrl+L launch/resume")
            await vim(pilot, "j", "B/42  ▶")
            await vim(pilot, "l", "B/123  ▶")
            await vim(pilot, "k", "A/123  ✓")
            await vim(pilot, "h", "A/42  ✓")
            assert not session.launched
            await pilot.press("j", "j", "l", "l", "ctrl+l")
            await until(pilot, lambda: session.launched)
            assert session.launched[0].launch == (RunId("C", 456),)
            await pilot.press("question_mark")
            text = await until_shown(pilot, "Ctrl+L  Launch the selected run", "Left h  Select the run to the left")
            line = next(line for line in text.splitlines() if "Left h  Select" in line)
            assert line.split("left", 1)[1].split()[0] == "left"  # the name of the action, on the same line
    finally:
        move_keys({})
