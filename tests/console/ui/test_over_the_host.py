"""The console over the real session: the real engine, on the real embedded host, over real SSH."""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.cli import DEFAULTS
from console.commands.context import Context
from console.commands.switch import ContextSwitcher
from console.hosts import when_done as proof
from console.hosts.host_config import HostConfig
from console.session import Session
from console.ui.app import ConsoleApp
from console.ui.host import when_done
from console.ui.launch.switch_dialog import ChoiceList
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from tests.console.commands.quick_engine import FOLDER, run_folders, use_job
from tests.console.conftest import FinishedExperiment
from tests.console.tiny import LONG, PROFILE, warm, write_experiment
from tests.console.ui.driving import LARGE, screen, until, until_shown

pytestmark = pytest.mark.server


@asynccontextmanager
async def real_console(
    experiment_file: Path, runs: Path, *, slots: int = 2, when_done: tuple[str, ...] = ()
) -> AsyncIterator[Pilot[None]]:
    """A console whose link is up."""
    experiment = read_experiment(experiment_file)
    host = HostConfig("here", "embedded", slots=slots, when_done=when_done)
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
        await until(pilot, lambda: any("⠁" <= sign <= "⣿" for sign in screen(pilot)), "the curve is drawn")
        await pilot.press("2", "X")
        await until_shown(pilot, "in mid-run")
        await pilot.press("y")
        await until(pilot, lambda: snapshot_names(pilot) == {"aborted"}, "all are aborted")
        await until_shown(pilot, "4 aborted")


async def test_another_profile_and_back_while_a_run_goes_on_with_the_lease_and_the_local_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_job(monkeypatch, "import time; time.sleep(600)")
    file = write_experiment(tmp_path)
    options = Namespace(**DEFAULTS | {"experiment": file, "profile": PROFILE, "runs": tmp_path / "runs"})
    context = Context(options)
    app = ConsoleApp(context.session, context.experiment, PROFILE, "here", False, switcher=ContextSwitcher(context))
    async with app.run_test(size=LARGE, notifications=True) as pilot:

        async def switch_to(profile: str) -> None:
            await pilot.press("H")
            await until_shown(pilot, "▸ experiment.toml", "smoke  condition A")
            profiles = app.screen.query_one("#switch-profiles", ChoiceList)
            names = [name for name, _ in context.experiment.profiles.items()]
            profiles.highlighted = names.index(profile)
            await until_shown(pilot, f"▸ {profile}")
            await pilot.press("enter")
            await until_shown(pilot, "● up, ", f"tiny, {profile}")
            await until(pilot, lambda: app.session is not None and app.session.snapshot.host.runs_reported)

        await until_shown(pilot, "● up, ", "press a to launch all four")
        await pilot.press("l")
        await until_shown(pilot, "1 running")
        assert app.main.snapshot is not None
        before = app.main.snapshot.runs[RunId("A", 42)].state
        await switch_to("smoke")
        snapshot = app.main.snapshot
        assert snapshot is not None and snapshot.folder == "tiny-smoke" and not snapshot.local_writer
        await switch_to(PROFILE)
        await until_shown(pilot, "1 running")
        after = app.main.snapshot.runs[RunId("A", 42)].state
        assert (
            before is not None
            and after is not None
            and (after.key, after.started_at) == (before.key, before.started_at)
        )
        await pilot.press("X")
        await until_shown(pilot, "in mid-run")
        await pilot.press("y")  # this console still has the lease
        await until_shown(pilot, "1 aborted")


async def test_the_hosts_command_runs_once_every_byte_is_here_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another experiment's run is not here; then a local byte is wrong; then nothing is left."""
    monkeypatch.setattr(when_done, "GRACE_S", 0.01)
    monkeypatch.setattr(proof, "CHECK_EVERY_S", 0.1)
    use_job(monkeypatch, "import time\nopen('began', 'w').close()\nwhile not os.path.exists('end'): time.sleep(0.02)")
    marker = tmp_path / "stopped"
    command = (sys.executable, "-c", "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()", str(marker))
    other = run_folders(tmp_path).parent / "another" / "B_seed7"
    other.mkdir(parents=True)
    async with real_console(write_experiment(tmp_path), tmp_path / "runs", slots=4, when_done=command) as pilot:

        def waits_for(text: str) -> bool:
            return text in pilot.app.when_done_state.waits_for  # type: ignore[attr-defined]

        try:
            await pilot.press("2", "a")
            folders = [run_folders(tmp_path) / f"{name}_seed{seed}" for name in "AB" for seed in (42, 123)]
            await until(pilot, lambda: all((folder / "began").exists() for folder in folders))
            await until(pilot, lambda: waits_for("is running"))
        finally:
            for folder in run_folders(tmp_path).glob("?_seed*"):
                (folder / "end").touch()
        await until(pilot, lambda: waits_for("another/B_seed7: is lost"))
        local = tmp_path / "runs" / FOLDER / "A_seed42" / "began"
        local.write_text("x")
        shutil.rmtree(other)
        await until(pilot, lambda: waits_for("began: it has 1 bytes instead of 0"))
        assert not marker.exists()
        local.write_text("")
        await until(pilot, lambda: "ended with 0" in pilot.app.when_done_state.outcome)  # type: ignore[attr-defined]
    assert marker.exists()
