"""A replay by keys: views 2 and 3 go on, stand still, and go back as the runs did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from console.local.experiment import find_experiment
from console.local.replay import ReplaySession
from console.ui.app import ConsoleApp
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.local_folder import write_run
from tests.console.ui.driving import SIZES, notices, record_notices, screen, until, until_shown
from tests.console.ui.scenes import training

SCALING = read_experiment(find_config("scaling.toml"))
A, B = RunId("A", 42), RunId("B", 42)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs, one after the other: of 209 s each, 85 s between their beginnings."""
    log = "".join(f"step {step}/200\n" for step in range(1, 201)).encode()
    write_run(tmp_path, SCALING, "demo", A, training(200), log=log)
    write_run(tmp_path, SCALING, "demo", B, training(200), start=1085.0, state="failed")
    return tmp_path


@asynccontextmanager
async def replay(folder: Path, size: tuple[int, int]) -> AsyncIterator[tuple[Pilot[None], ReplaySession]]:
    """The console as ``view --replay`` opens it, standing still at the beginning."""
    session = ReplaySession(find_experiment(folder), 10.0)
    session.paused = True
    app = ConsoleApp(lambda _: session, session.experiment, "demo", "local copy", False, has_host=False, in_replay=True)
    record_notices(app)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until_shown(pilot, "replay 00:00:00 of ", "paused", "Space pause")
        yield pilot, session


@SIZES
async def test_keys_go_on_back_faster_slower_and_pause(folder: Path, size: tuple[int, int]) -> None:
    async with replay(folder, size) as (pilot, session):
        await until_shown(pilot, "◦ queued")
        await pilot.press("full_stop")
        await until_shown(pilot, "replay 00:01:40 of 5:04, paused", "▶ running")
        await pilot.press("comma")
        await until_shown(pilot, "replay 00:00:00 of", "◦ queued")
        await pilot.press("right_curly_bracket")
        await until(pilot, lambda: session.speed == 30.0)
        await pilot.press("left_curly_bracket")
        await until(pilot, lambda: session.speed == 10.0)
        await pilot.press("space")
        await until_shown(pilot, ", 10x")
        await until(pilot, lambda: session.moment > 0, "it goes on")
        await pilot.press("space")
        await until_shown(pilot, ", paused")
        assert notices(pilot) == [], "what happened then is no news"


@SIZES
async def test_the_live_view_and_its_log_go_back_too(folder: Path, size: tuple[int, int]) -> None:
    async with replay(folder, size) as (pilot, session):
        session.go_to(session.length)
        await until_shown(pilot, "✓ finished", "✗ failed")
        await pilot.press("3")
        await until_shown(pilot, ">3 Live<", "A/42  ✓ finished", "step 200/200", "log: 200 lines")
        session.go_to(60.0)
        await until_shown(pilot, "replay 00:01:00", "A/42  ▶ running  training", "ETA 2:34")
        await until(pilot, lambda: "step 200/200" not in screen(pilot), "the log ends where it ended then")
        session.go_to(100.0)
        await until_shown(pilot, "replay 00:01:40", "ETA 1:56")


async def test_a_space_that_is_typed_is_no_pause(folder: Path) -> None:
    async with replay(folder, (120, 40)) as (pilot, session):
        session.go_to(session.length)
        await until_shown(pilot, "✓ finished")
        await pilot.press("3")
        await until_shown(pilot, ">3 Live<", "step 200/200")
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(pilot.app.focused, Input), "the search line has the focus")
        await pilot.press("p", "space", "full_stop")
        await until(pilot, lambda: isinstance(pilot.app.focused, Input) and pilot.app.focused.value == "p .")
        assert session.moment == session.length
