"""``qllm-console view``: all five views on local copies alone, without a host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.local.experiment import find_experiment
from console.local.session import LocalSession
from console.ui.app import ConsoleApp
from engine.contract.experiment_reader import read_experiment
from engine.contract.run_folder import STATE
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.local_folder import KEY, write_run
from tests.console.results.capsules import row, write_capsule
from tests.console.ui.driving import SIZES, SMALL, notices, record_notices, screen, until_shown
from tests.console.ui.scenes import training

SCALING = read_experiment(find_config("scaling.toml"))
A, B = RunId("A", 42), RunId("B", 42)


@asynccontextmanager
async def view(
    folder: Path, size: tuple[int, int] = SMALL, session: Callable[..., LocalSession] = LocalSession
) -> AsyncIterator[Pilot[None]]:
    """The console as ``view`` opens it."""
    found = find_experiment(folder)
    app = ConsoleApp(lambda _: session(found), found.experiment, found.profile, "local copy", False, has_host=False)
    record_notices(app)
    async with app.run_test(size=size, notifications=True) as pilot:
        yield pilot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run with items, and one that was running."""
    rows = [row("r1", 1), row("r2", 4), row("c1", 1, kind="coherence")]
    write_capsule(tmp_path, SCALING, A, rows)
    state = tmp_path / str(A) / STATE
    state.write_bytes(state.read_bytes().replace(b"0" * 32, KEY.encode()))
    write_run(tmp_path, SCALING, "full", A, training(20), log=b"the last line\n")
    write_run(tmp_path, SCALING, "full", B, training(5), state="running", sealed=False)
    return tmp_path


@SIZES
async def test_every_view_shows_what_is_local(folder: Path, size: tuple[int, int]) -> None:
    async with view(folder, size) as pilot:
        await until_shown(pilot, "no host", "finished", "running")
        await pilot.press("3")
        await until_shown(pilot, "training loss", "the last line")
        await pilot.press("4")
        await until_shown(pilot, "1 of 2 runs evaluated")
        await pilot.press("5")
        await until_shown(pilot, "q r2")
        await pilot.press("1")
        await until_shown(pilot, str(folder)[:20], "Local copy")


@SIZES
async def test_keys_that_ask_a_host_are_absent_and_say_why_they_do_nothing(folder: Path, size: tuple[int, int]) -> None:
    async with view(folder, size) as pilot:
        shown = await until_shown(pilot, "no host", "A/42", "quit")
        assert not {"launch", "abort", "restart", "sync"} & set(shown.splitlines()[-1].split())
        for key in ("a", "x", "r", "s"):
            await pilot.press(key)
        await until_shown(pilot, "No host here: local copies are only shown")
        assert len(notices(pilot)) == 4
        await pilot.press("1")
        await until_shown(pilot, ">1 Host<", "Folder")
        assert "check again" not in screen(pilot)
