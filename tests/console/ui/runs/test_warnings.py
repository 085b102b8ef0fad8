"""The list of warnings: opened from any view, newest first, with meaning and threshold; Enter goes to the run."""

from __future__ import annotations

from textual.pilot import Pilot

from console.ui.runs.warnings import WarningsDialog
from engine.contract.events import Warning
from engine.contract.settings import RunId
from tests.console.ui.driving import HOSTILE, SIZES, SMALL, console, screen, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import training, view_of


def warned() -> FakeSession:
    session = FakeSession()
    spike = Warning("loss_spike", f"loss 2.293, \x1b[2J\u202e{HOSTILE} 損失", 611, 2.293)
    session.show(
        view_of(RunId("A", 42), "running", [Warning("dilution", "severe: drawn 6.1 times"), *training(20)]),
        view_of(RunId("B", 123), "running", [*training(60), Warning("early_warning", "72% of hard pairs", 84), spike]),
    )
    return session


def is_open(pilot: Pilot[None]) -> bool:
    return isinstance(pilot.app.screen, WarningsDialog)


@SIZES
async def test_the_list_by_key(size: tuple[int, int]) -> None:
    async with console(warned(), size) as pilot:
        await pilot.press("1")
        await until_shown(pilot, "Host key")
        await pilot.press("exclamation_mark")
        await until_shown(pilot, "3 warnings of 2 runs, newest first", "▸ B/123")
        text = await until_shown(pilot, "B/123, step 611: loss spike", "Given: Above the mean plus 3 standard")
        assert [line.split()[1] for line in text.splitlines() if "/" in line[:9]][:3] == ["▸", "B/123", "A/42"]
        assert HOSTILE in text and "\x1b" not in text and "\u202e" not in text
        await pilot.press("down")
        await until_shown(pilot, "B/123, step 84: hard pairs ranked wrong", "40%: the data.")
        await pilot.press("end")
        await until_shown(pilot, "A/42: adversarial tier diluted", "Fewer than 10: severe.")
        await pilot.press("down", "home")
        await until_shown(pilot, "B/123, step 611: loss spike")
        await pilot.press("pagedown")
        await until_shown(pilot, "A/42: adversarial tier diluted")
        await pilot.press("pageup", "up")
        await until_shown(pilot, "B/123, step 611: loss spike")
        await pilot.press("escape")
        await until(pilot, lambda: not is_open(pilot))
        assert ">1 Host<" in screen(pilot)
        await pilot.press("exclamation_mark")
        await until_shown(pilot, "▸ B/123")
        await pilot.press("enter")
        await until_shown(pilot, ">3 Live<", "B/123")
        assert pilot.app.main.selected == RunId("B", 123)  # type: ignore[attr-defined]


async def test_a_new_warning_joins_while_the_list_is_open_and_the_cursor_stays_on_its_own() -> None:
    session = warned()
    async with console(session, SMALL) as pilot:
        await pilot.press("exclamation_mark")
        await until_shown(pilot, "▸ B/123")
        await pilot.press("end")
        await until_shown(pilot, "▸ A/42", "A/42: adversarial")
        session.show(view_of(RunId("C", 456), "running", [*training(100), Warning("non_finite", "loss is nan", 900)]))
        await until_shown(pilot, "4 warnings of 3 runs", "C/456")
        assert "▸ A/42" in screen(pilot) and "A/42: adversarial" in screen(pilot)
        await pilot.double_click("#warning-list", offset=(4, 0))
        await until_shown(pilot, ">3 Live<", "C/456")
        assert pilot.app.main.selected == RunId("C", 456)  # type: ignore[attr-defined]


async def test_without_warnings_the_list_says_so_and_enter_changes_nothing() -> None:
    async with console(FakeSession(), SMALL) as pilot:
        await pilot.press("exclamation_mark")
        await until_shown(pilot, "No run has a warning.")
        await pilot.press("down", "enter")
        await until(pilot, lambda: not is_open(pilot))
        assert ">2 Runs<" in screen(pilot)


async def test_a_message_that_has_no_room_in_its_line_ends_in_an_ellipsis_and_stands_whole_below() -> None:
    session = FakeSession()
    message = " ".join(f"word{number}" for number in range(20))
    session.show(view_of(RunId("A", 42), "running", [Warning("loss_spike", message, 3), *training(20)]))
    async with console(session, SMALL) as pilot:
        await pilot.press("exclamation_mark")
        text = await until_shown(pilot, "A/42, step 3: loss spike", "word19")
        line = next(one for one in text.splitlines() if "▸ A/42" in one)
        assert line.rstrip("│▁▂▃▄▅▆▇█ ").endswith("…")
