"""A condition that is derived while the console follows a host is launched there at once, and ends under its own name."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from console import session as session_module
from console.hosts.host_config import HostConfig
from console.hosts.remote.launch_request import launch_request
from console.results.next_steps.derive import added_seeds, derive, origin
from console.runs.experiment_watch import ExperimentChange
from console.session import Session
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.experiment_text import derived_path
from engine.contract.settings import RunId, resolve, run_ids
from tests.console.commands.json_checker import checked
from tests.console.commands.quick_engine import command, run_folders, use_job
from tests.console.tiny import PROFILE, write_experiment

LESS = "[curriculum_weights]\ntier2_robust = 1.5\n[training]\nsteps = 3\n"
READ = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from engine.contract.experiment_reader import read_experiment
from engine.contract.experiment_text import derived_path
from engine.contract.settings import RunId, resolve
experiment = read_experiment(Path(sys.argv[2]))
settings = resolve(experiment, sys.argv[4], RunId(sys.argv[5], int(sys.argv[6])))
(Path(sys.argv[3]) / "resolved.txt").write_text(settings.fingerprint())
"""


@pytest.mark.server
async def test_a_derived_condition_and_an_added_seed_run_on_the_host_and_end_under_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def request(*arguments: Any, **options: Any) -> dict[str, Any]:
        """The engine's own reading of what was sent, in place of a run."""
        made, settings = launch_request(*arguments, **options), arguments[2]
        root = str(Path(__file__).parents[2])
        sent = [root, "{job}/experiment.toml", "{run}", settings.profile, settings.condition, str(settings.seed)]
        return made | {"argv": [sys.executable, "-c", READ, *sent]}

    async def no_error(*_: object) -> str:
        return ""

    monkeypatch.setattr(session_module, "launch_request", request)
    monkeypatch.setattr(session_module, "engine_error", no_error)
    file = write_experiment(tmp_path)
    before = read_experiment(file)
    session = Session(HostConfig("here", "embedded"), before, file, PROFILE, tmp_path / "runs")
    changed = asyncio.Event()
    session.subscribe(lambda _: changed.set())
    following = asyncio.create_task(session.run())
    async with asyncio.timeout(60):
        await session.ready.wait()
        because = origin("tier1 regressed", PROFILE, "")
        runs = await session.add(derive(session.experiment, PROFILE, "B", LESS, because))
        assert runs == (RunId("B.2", 42), RunId("B.2", 123))
        runs = runs[:1] + (await session.add(added_seeds((7,), because)))[:1]
        assert runs == (RunId("B.2", 42), RunId("A", 7))
        assert (
            list(session.snapshot.runs)
            == list(session.snapshot.sync_states)
            == list(run_ids(session.experiment, PROFILE))
        )
        outcomes = await session.launch(session.plan_launch(runs))
        assert [outcome.done for outcome in outcomes] == [True, True]
        while any(session.snapshot.sync_states[run].status != "synced" for run in runs):
            changed.clear()
            await changed.wait()
    assert [session.snapshot.runs[run].state_name for run in runs] == ["finished", "finished"]
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    now = read_experiment(file)
    for run in runs:
        resolved = (tmp_path / "runs" / f"tiny-{PROFILE}" / str(run) / "resolved.txt").read_text()
        assert resolved == resolve(now, PROFILE, run).fingerprint()
        assert (run_folders(tmp_path) / str(run) / "state.json").exists()
    for run in run_ids(before, PROFILE):
        assert resolve(now, PROFILE, run).fingerprint() == resolve(before, PROFILE, run).fingerprint()


async def test_an_experiment_that_was_edited_meanwhile_is_read_again_when_something_is_added(tmp_path: Path) -> None:
    file = write_experiment(tmp_path)
    session = Session(HostConfig("here", "embedded"), read_experiment(file), file, PROFILE, tmp_path / "runs")
    addition = derive(session.experiment, PROFILE, "B", LESS, origin("r", PROFILE, ""))
    file.write_text(file.read_text().replace("batch_size = 128", "batch_size = 64"))
    assert await session.add(addition) == (RunId("B.2", 42), RunId("B.2", 123))
    assert resolve(session.experiment, PROFILE, RunId("B.2", 42)).training.batch_size == 64
    file.write_text(file.read_text().replace('conditions = ["A", "B"]', 'conditions = ["B"]'))
    before, derived = session.experiment, derived_path(file).read_text()
    with pytest.raises(BadInput, match=r"A/42 and A/123 are no longer in it; undo that, or press H and Enter to open"):
        await session.add(derive(session.experiment, PROFILE, "A", LESS, origin("r", PROFILE, "")))
    assert session.experiment is before and derived_path(file).read_text() == derived


async def changed(session: Session) -> ExperimentChange:
    """The change of the file: it is read once it is the same in two checks."""
    assert await session.check_experiment() is None
    change = await session.check_experiment()
    assert change is not None
    return change


async def test_a_changed_file_is_in_force_if_it_is_valid_and_has_all_runs_that_are_followed(tmp_path: Path) -> None:
    file = write_experiment(tmp_path)
    text = file.read_text()
    session = Session(HostConfig("here", "embedded"), read_experiment(file), file, PROFILE, tmp_path / "runs")
    assert await session.check_experiment() is None
    async with asyncio.timeout(20):
        file.write_text(
            text.replace("seeds = [42, 123]\n", "seeds = [42, 123, 7]\n").replace("batch_size = 128", "batch_size = 64")
        )
        change = await changed(session)
        assert change.applied and change.text == (
            "experiment.toml was read again: adds A/7 and B/7; training.batch_size differs for 4 runs (A, B)."
        )
        assert (
            list(session.snapshot.runs)
            == list(session.snapshot.sync_states)
            == list(run_ids(session.experiment, PROFILE))
        )
        assert RunId("A", 7) in session.snapshot.runs
        in_force = session.experiment
        for wrong, expected in (
            (
                text.replace("batch_size = 128", "batch_size = 0"),
                r"experiment.toml:\d+: training.batch_size: .*stays in force",
            ),
            (
                text,
                r"A/7 and B/7 are no longer in it; undo that, or press H and Enter to open the file as it is, which",
            ),
            (text.replace('name = "tiny"', 'name = "other"'), r"name: it is the experiment other now"),
            (text.replace("[profiles.tiny", "[profiles.new"), r"there is no profile tiny any more"),
        ):
            file.write_text(wrong)
            change = await changed(session)
            assert not change.applied and re.search(expected, change.text), change.text
            assert session.experiment is in_force and await session.check_experiment() is None


@pytest.mark.server
def test_a_derived_condition_is_launched_headless_and_listed_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_job(monkeypatch, "pass")
    run = command("run", tmp_path, "--condition", "B.2", "--seed", "42", "--detach", "--json")
    with pytest.raises(BadInput, match=r"no condition 'B\.2'"):
        run()
    changed = command("run", tmp_path, "--condition", "A", "--seed", "42", "--set", "steps=3", "--detach", "--json")
    assert changed() == 0
    first = capsys.readouterr()
    (outcome,) = checked(first.out)["outcomes"]
    assert (outcome["run"], outcome["done"]) == ({"condition": "A.2", "seed": 42}, True)
    assert "A.2 is new, from A: training.steps 3 (A: none)" in first.err
    assert changed() == 0  # the same again: what is there is not launched twice, and nothing is added
    again = capsys.readouterr()
    assert checked(again.out)["outcomes"] == [] and "Nothing to launch" in again.err
    file = write_experiment(tmp_path)
    session = Session(HostConfig("here", "embedded"), read_experiment(file), file, PROFILE, tmp_path / "runs")
    asyncio.run(session.add(derive(session.experiment, PROFILE, "B", LESS, origin("r", PROFILE, ""))))
    assert run() == 0
    (outcome,) = checked(capsys.readouterr().out)["outcomes"]
    assert (outcome["run"], outcome["done"]) == ({"condition": "B.2", "seed": 42}, True)
