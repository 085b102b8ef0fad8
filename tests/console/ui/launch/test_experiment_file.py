"""The experiment's file is read again when it changes: what the console shows then."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from console.ui.app import ConsoleApp
from console.ui.launch.form import LaunchForm
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.ui.driving import LARGE, console, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import finished

MORE = '[conditions.D]\ntitle = "fourth"\nedition = "v2.2"\ncurriculum = "uniform"\n'


@pytest.fixture
def session(tmp_path: Path) -> FakeSession:
    path = tmp_path / "scaling.toml"
    path.write_text(find_config("scaling.toml").read_text())
    return FakeSession(read_experiment(path), "demo", path)


async def test_new_runs_appear_in_the_same_view_also_in_an_open_form(session: FakeSession) -> None:
    file = session.experiment_file
    async with console(session, LARGE) as pilot:
        assert isinstance(pilot.app, ConsoleApp)
        await pilot.press("down")
        await until(pilot, lambda: pilot.app.main.selected == RunId("B", 42))  # type: ignore[attr-defined]
        await pilot.press("n")
        await until_shown(pilot, "[x] B", "B/42  settings ")
        file.write_text(file.read_text() + MORE)
        session.experiment_change = ("scaling.toml was read again: adds D/42.", read_experiment(file))
        await until_shown(pilot, "[ ] D  fourth", "scaling.toml was read again: adds D/42.", "[x] B")
        assert isinstance(pilot.app.screen, LaunchForm)
        await pilot.press("escape")
        await until_shown(pilot, "12 to launch", "B/42  · not launched")
        assert pilot.app.main.selected == RunId("B", 42)
        await pilot.press("down", "down")
        await until(pilot, lambda: pilot.app.main.selected == RunId("D", 42))  # type: ignore[attr-defined]


async def test_a_wrong_file_is_one_line_and_nothing_changes(session: FakeSession) -> None:
    async with console(session, LARGE) as pilot:
        await until_shown(pilot, "A/42", "C/456")
        session.experiment_change = ("/x/scaling.toml:7: seeds: wrong; what was read before stays in force", None)
        await until_shown(pilot, "/x/scaling.toml:7: seeds: wrong", "A/42", "C/456")


async def test_a_run_whose_settings_were_changed_since_its_launch_says_so(session: FakeSession) -> None:
    session.show(finished(RunId("A", 42)))
    session.snapshot = replace(session.snapshot, changed_settings=frozenset({RunId("A", 42)}))
    async with console(session, LARGE) as pilot:
        await until_shown(pilot, "Settings changed since its launch; l launches it with the present ones")
        await pilot.press("right")
        await until(pilot, lambda: "Settings changed" not in str(pilot.app.screen.query_one("#details").render()))
