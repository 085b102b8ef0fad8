"""The log panel: search while it follows, moves by match, error and step, folds progress, shows hostile lines as text."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual import on
from textual.app import App, ComposeResult
from textual.pilot import Pilot

import console.ui
from console.runs.log_search import LogSearch
from console.ui.live.log_panel import LogPanel
from console.ui.live.log_view import LogView
from console.ui.messages import StepChosen
from tests.console.fed_log import FedLog
from tests.console.ui.driving import SMALL, screen, until, until_shown


class PanelApp(App[None]):
    """A log panel that looks for new lines, as the view that holds it does."""

    CSS_PATH = Path(console.ui.__file__).with_name("views.tcss")

    def __init__(self, log: FedLog) -> None:
        super().__init__()
        self.log_file = log
        self.steps: list[int | None] = []
        self.notices: list[str] = []

    def compose(self) -> ComposeResult:
        yield LogPanel()

    def on_mount(self) -> None:
        self.panel.show(self.log_file)
        self.panel.focus_log()
        self.set_interval(0.02, self.panel.poll)

    @property
    def panel(self) -> LogPanel:
        return self.query_one(LogPanel)

    def show_notice(self, text: str) -> None:
        self.notices.append(text)

    @on(StepChosen)
    def note_step(self, message: StepChosen) -> None:
        self.steps.append(message.step)


@asynccontextmanager
async def panel(content: bytes) -> AsyncIterator[tuple[Pilot[None], PanelApp, FedLog]]:
    log = FedLog()
    log.feed(content)
    app = PanelApp(log)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: not log.behind and log.total == content.count(b"\n"), "the log is read")
        await until(pilot, lambda: not app.panel.view.is_outdated and app.panel.view.size.height, "and shown")
        yield pilot, app, log


def steps(count: int) -> bytes:
    return b"".join(b"reached step %d\n" % step for step in range(count))


async def select(pilot: Pilot[None], app: PanelApp, key: str, line: int) -> None:
    await pilot.press(key)
    await until(pilot, lambda: app.panel.view.current_line == line, f"{key} selects line {line}")


async def test_the_cursor_moves_by_line_page_and_mouse_and_below_the_end_it_follows() -> None:
    async with panel(steps(100)) as (pilot, app, _):
        view = app.panel.view
        await select(pilot, app, "up", 99)
        assert not view.following and "paused" in app.panel.status_text()
        await select(pilot, app, "up", 98)
        await select(pilot, app, "pageup", 98 - view.size.height + 1)
        await select(pilot, app, "home", 0)
        await until_shown(pilot, "reached step 0\n".strip())
        await pilot.click(LogView, offset=(3, 4))
        await until(pilot, lambda: view.current_line == 4)
        await select(pilot, app, "down", 5)
        await pilot.press("end")
        await until(pilot, lambda: view.following)
        await until_shown(pilot, "reached step 99")


async def test_matches_are_gone_through_in_both_modes() -> None:
    content = b"".join(b"loss %d\n" % at if at % 10 == 0 else b"other %d\n" % at for at in range(100))
    async with panel(content) as (pilot, app, _):
        await pilot.press("slash")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "search")
        await pilot.press(*"loss")
        text = await until_shown(pilot, "filter", "10 matches", "loss 90")
        assert "other" not in text and app.panel.status_text() == "log: 10 of 100 lines, following"
        await pilot.press("ctrl+t")
        await until_shown(pilot, "highlight", "other 99", "loss 90")
        await pilot.press("enter")
        await until(pilot, lambda: app.focused is app.panel.view)
        await select(pilot, app, "N", 90)
        await select(pilot, app, "N", 80)
        await select(pilot, app, "n", 90)
        await pilot.press("n")
        await until(pilot, lambda: app.notices == ["no match below"])
        await pilot.press("ampersand")
        text = await until_shown(pilot, "filter", "loss 90", "loss 0")
        assert "other" not in text
        await pilot.press("escape")
        await until_shown(pilot, "other 99" if app.panel.view.following else "other 89")
        assert app.panel.status_text().startswith("log: 100 lines")


async def test_a_bad_expression_says_so_while_typing_and_the_search_before_it_stays() -> None:
    async with panel(b"loss 1\nother\nloss 2\n") as (pilot, app, _):
        await pilot.press("slash")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "search")
        await pilot.press(*"/loss")
        await until_shown(pilot, "2 matches")
        await pilot.press("(")
        text = await until_shown(pilot, "unclosed group")
        assert "loss 1" in text and "other" not in text
        await pilot.press(*"\\s2)")
        await until_shown(pilot, "1 match,")
        assert "loss 1" not in screen(pilot)


async def test_while_a_search_takes_its_time_the_console_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, searching = threading.Event(), threading.Event()
    advance = LogSearch.advance

    def slow(search: LogSearch, seconds: float) -> bool:
        searching.set()
        gate.wait(20)
        return advance(search, seconds)

    async with panel(steps(200)) as (pilot, app, _):
        monkeypatch.setattr(LogSearch, "advance", slow)
        await pilot.press("slash")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "search")
        await pilot.press(*"15")
        await asyncio.to_thread(searching.wait, 20)
        await pilot.press("enter")
        await until(pilot, lambda: app.focused is app.panel.view, "keys work while it searches")
        await until_shown(pilot, "0 matches, searched 0%", "reached step 199")
        gate.set()
        await until_shown(pilot, "12 matches", "reached step 159")


async def test_errors_are_gone_through_and_a_traceback_is_one() -> None:
    content = b"a\nTraceback (most recent call last):\n  File x\nValueError: no\nb\nERROR late\nc\n"
    async with panel(content) as (pilot, app, _):
        assert app.panel.status_text() == "log: 7 lines, 2 errors, following"
        await select(pilot, app, "E", 5)
        await select(pilot, app, "E", 1)
        await pilot.press("E")
        await until(pilot, lambda: app.notices == ["no error above"])
        await select(pilot, app, "e", 5)


async def test_a_line_leads_to_its_step_and_a_step_to_its_line() -> None:
    async with panel(steps(500)) as (pilot, app, _):
        app.panel.go_to_step(250)
        await until_shown(pilot, "reached step 250")
        assert app.panel.view.current_line == 250
        await pilot.press("i")
        await until(pilot, lambda: app.steps == [250])


async def test_progress_is_one_row_that_changes_and_can_be_unfolded() -> None:
    async with panel(b"begin\n" + b"".join(b"epoch 1 step %d/900\n" % step for step in range(1, 41))) as (
        pilot,
        _,
        log,
    ):
        text = await until_shown(pilot, "+39 epoch 1 step 40/900")
        assert "39/900" not in text
        log.feed(b"epoch 1 step 41/900\n")
        await until_shown(pilot, "+40 epoch 1 step 41/900")
        log.feed(b"\r 10%|#\r 20%|##")
        await until_shown(pilot, " 20%|##")
        assert "10%|#" not in screen(pilot)
        await pilot.press("Z")
        await until_shown(pilot, " 10%|#", "step 40/900", "step 41/900")
        await pilot.press("Z")
        await until_shown(pilot, "begin", "+40 epoch 1 step 41/900")


async def test_hostile_lines_are_shown_as_text_in_their_place() -> None:
    hostile = (
        b"[bold red]m[/] [link=x]\x1b[31mred\x1b[0m\nbidi \xe2\x80\xae zero\xe2\x80\x8bwidth\nnul\x00 \xff\nloss nan\n"
    )
    async with panel(hostile + b"Q" * (10 << 20) + b"\nlast\n") as (pilot, _, _):
        await until_shown(
            pilot, "[bold red]m[/] [link=x]red", "bidi  zerowidth", "nul \ufffd", "loss nan", "QQQQ", "last"
        )


async def test_the_log_of_another_launch_is_shown_from_its_end() -> None:
    async with panel(steps(300)) as (pilot, app, log):
        await select(pilot, app, "home", 0)
        log.clear()
        log.feed(b"second launch\n")
        text = await until_shown(pilot, "second launch")
        assert "reached step" not in text and app.panel.view.following
