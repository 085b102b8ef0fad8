"""The screen of an experiment is as it was left: view, selected run, how charts are shown; what cannot be read is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.ui.app import ConsoleApp
from console.ui.saved_screen import FILE, SavedCharts, SavedScreen, SavedScreens
from engine.contract.settings import RunId
from tests.console.ui.driving import console, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.test_views import busy_session

_LEFT = SavedScreen("live", "B_seed123", SavedCharts("mean", "range", "epoch", 1, ("dev.top1",)))


async def test_view_run_and_charts_are_as_they_were_left(tmp_path: Path) -> None:
    screens = SavedScreens(tmp_path / "state", tmp_path / "runs")
    async with console(busy_session(), screens=screens) as pilot:
        await pilot.press("down", "right", "3", "b", "m")
        await until_shown(pilot, ">3 Live<", "B/123", "mean ±sd")
        left = (await until_shown(pilot, "dev top-1 %")).splitlines()
    async with console(busy_session(), screens=SavedScreens(tmp_path / "state", tmp_path / "runs")) as pilot:
        text = await until_shown(pilot, ">3 Live<", "B/123", "mean ±sd", "dev top-1 %")
        assert text.splitlines()[2] == left[2]
        assert isinstance(pilot.app, ConsoleApp) and pilot.app.main.selected == RunId("B", 123)


async def test_the_screen_is_kept_while_the_console_is_open_as_its_terminal_may_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.ui.app._SAVE_S", 0.01)
    async with console(FakeSession(), screens=SavedScreens(tmp_path, tmp_path / "runs")) as pilot:
        await pilot.press("1")
        await until(pilot, lambda: SavedScreens(tmp_path, tmp_path / "runs").read("scaling-demo").view == "host")


async def test_a_key_that_comes_before_the_kept_screen_goes_before_it(tmp_path: Path) -> None:
    screens = SavedScreens(tmp_path, tmp_path / "runs")
    screens.write("scaling-demo", _LEFT)
    async with console(FakeSession(), screens=screens) as pilot:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        app.main.view = "host"
        app.main.restore(_LEFT)
        await until(pilot, lambda: app.main.view == "host")


def test_each_folder_of_runs_has_its_screen_and_a_read_only_console_keeps_none(tmp_path: Path) -> None:
    SavedScreens(tmp_path, tmp_path / "runs").write("scaling-demo", _LEFT)
    assert SavedScreens(tmp_path, tmp_path / "runs").read("scaling-demo") == _LEFT
    assert SavedScreens(tmp_path, tmp_path / "runs").read("scaling") == SavedScreen()
    reader = SavedScreens(tmp_path, tmp_path / "others", may_write=False)
    reader.write("scaling-demo", _LEFT)
    assert reader.read("scaling-demo") == SavedScreen()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x": {"view": "nowhere"}}', b"\xff"])
def test_a_file_that_cannot_be_understood_is_as_if_nothing_had_been_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    screens = SavedScreens(tmp_path, tmp_path / "runs")
    assert screens.read("scaling-demo") == SavedScreen()
    screens.write("scaling-demo", _LEFT)
    assert screens.read("scaling-demo") == _LEFT


async def test_a_kept_screen_with_a_run_and_charts_that_are_there_no_more_is_shown_without_them(tmp_path: Path) -> None:
    screens = SavedScreens(tmp_path, tmp_path / "runs")
    screens.write("scaling-demo", SavedScreen("live", "Z_seed1", SavedCharts("sideways", "sd", "step", 7, ("gone",))))
    async with console(busy_session(), screens=screens) as pilot:
        await until_shown(pilot, ">3 Live<", "A/42")


async def test_nothing_is_said_to_be_launched_or_not_before_the_runs_are_known() -> None:
    session = FakeSession()
    session.show(link="connecting", runs_reported=False)
    async with console(session) as pilot:
        text = await until_shown(pilot, "9 not known yet", "· not known yet", "A/42  · not known yet")
        assert "to launch" not in text and "not launched" not in text
        session.show(link="up", runs_reported=True)
        text = await until_shown(pilot, "9 to launch", "· not launched")
        assert "not known yet" not in text
