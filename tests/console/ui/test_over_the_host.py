"""The console over the real session: the real engine, on the real embedded host, over real SSH."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.hosts.host_config import HostConfig
from console.session import Session
from console.ui.app import ConsoleApp
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from tests.console.conftest import FinishedExperiment
from tests.console.tiny import LONG, PROFILE, warm, write_experiment
from tests.console.ui.driving import LARGE, screen, until, until_shown

pytestmark = pytest.mark.server


@asynccontextmanager
async def real_console(experiment_file: Path, runs: Path) -> AsyncIterator[Pilot[None]]:
    """A console whose link is up."""
    experiment = read_experiment(experiment_file)
    host = HostConfig("here", "embedded", slots=2)
    app = ConsoleApp(
        lambda _: Session(host, experiment, experiment_file, PROFILE, runs), experiment, PROFILE, "here", False
    )
    async with app.run_test(size=LARGE, notifications=True) as pilot:
        await until_shown(pilot, "● up, ")
        yield pilot


def snapshot_names(pilot: Pilot[None]) -> set[str]:
    """The states of all runs as the console has them."""
    assert isinstance(pilot.app, ConsoleApp)
    assert pilot.app.main.snapshot is not None
    return {view.state_name for view in pilot.app.main.snapshot.runs.values()}


async def test_runs_that_finished_before_are_shown_at_start(finished: FinishedExperiment) -> None:
    async with real_console(finished.experiment, finished.runs) as pilot:
        await until_shown(pilot, "4 finished", "✓ finished  synced", "checksums match")
        await pilot.press("enter")
        await until_shown(pilot, "A/42", "mean pooling", "end: ")
        await pilot.press("4")
        mean = next(one for one in finished.printed["conditions"] if one["condition"] == "A")["top1"]["mean"]
        await until_shown(pilot, "4 of 4 runs evaluated", "Ship blockers", "95%", f"{100 * mean:.1f}")
        await pilot.press("5")
        await until_shown(pilot, "showing ", "Right answer")
        await pilot.press("1")
        await until_shown(pilot, "SHA256:", "(verified)", "Preflight", "✓ ok      engine", "runs survive logout")
        await pilot.press("end")
        await until_shown(pilot, "CPUs", "Updated")


async def test_one_key_launches_all_curves_move_and_all_are_aborted(
    tmp_path: Path, finished: FinishedExperiment
) -> None:
    warm(finished.runs, tmp_path / "runs")
    async with real_console(write_experiment(tmp_path, epochs=LONG), tmp_path / "runs") as pilot:
        await until_shown(pilot, "press a to launch all four")
        await pilot.press("a")
        await until_shown(pilot, "Launched 4 runs.", "2 running", "2 queued")
        await pilot.press("3")
        await until_shown(pilot, "A/42  ▶ running  training", "ETA")
        app = pilot.app
        assert isinstance(app, ConsoleApp)

        def steps() -> int:
            assert app.main.snapshot is not None
            return len(app.main.snapshot.runs[RunId("A", 42)].losses)

        seen = steps()
        await until(pilot, lambda: steps() > seen, "the curve grows")
        await until(pilot, lambda: "▄" in screen(pilot) or "▀" in screen(pilot), "the curve is drawn")
        await pilot.press("2", "X")
        await until_shown(pilot, "in mid-run")
        await pilot.press("y")
        await until(pilot, lambda: snapshot_names(pilot) == {"aborted"}, "all are aborted")
        await until_shown(pilot, "4 aborted")
