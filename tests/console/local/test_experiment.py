"""The experiment of a local folder is found: by its kept text, or by what its runs recorded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.local.experiment import find_experiment, run_of_name
from console.results.analysis.plan import KEPT_EXPERIMENT, keep_experiment, plan_of, read_plan, write_plan
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, resolve, run_ids
from engine.contract.toml_file import find_config
from tests.console.local_folder import write_run


def scaling() -> Experiment:
    return read_experiment(find_config("scaling.toml"))


def write_runs(folder: Path, experiment: Experiment, profile: str = "demo") -> tuple[RunId, ...]:
    for run in run_ids(experiment, profile):
        write_run(folder, experiment, profile, run)
    return run_ids(experiment, profile)


def test_the_kept_text_is_the_experiment(tmp_path: Path) -> None:
    experiment, folder = scaling(), tmp_path / "runs" / "scaling-demo"
    runs = write_runs(folder, experiment)
    keep_experiment(folder, experiment)
    found = find_experiment(folder)
    assert (found.experiment, found.profile, found.runs, found.unnamed) == (experiment, "demo", runs, 0)
    assert find_experiment(tmp_path / "runs").folder == folder, "a runs folder"
    assert find_experiment(folder / "A_seed42").folder == folder, "a run's own folder"


def test_without_it_the_settings_are_those_that_the_runs_recorded(tmp_path: Path) -> None:
    experiment = scaling()
    runs = write_runs(tmp_path, experiment)
    found = find_experiment(tmp_path)
    assert set(found.runs) == set(runs)
    assert found.profile == "demo"
    for run in runs:
        assert resolve(found.experiment, "demo", run) == resolve(experiment, "demo", run)


def test_the_kept_plan_says_what_is_compared_and_what_was_added_later(tmp_path: Path) -> None:
    experiment = scaling()
    write_runs(tmp_path, experiment)
    write_plan(tmp_path, plan_of(experiment, "demo"))
    later = replace(experiment, conditions={**experiment.conditions, "A.2": experiment.conditions["B"]})
    write_run(tmp_path, later, "demo", RunId("A.2", 42))
    found = find_experiment(tmp_path).experiment
    plan, _ = read_plan(tmp_path)
    assert plan is not None
    assert plan_of(found, "demo") == plan.plan
    derived = found.conditions["A.2"].derived
    assert derived is not None
    assert derived.parent == "A"


def test_a_copy_that_lacks_a_run_has_its_place_in_the_matrix(tmp_path: Path) -> None:
    experiment = scaling()
    runs = write_runs(tmp_path, experiment)
    shutil.rmtree(tmp_path / "A_seed42")
    assert find_experiment(tmp_path).runs == runs
    for condition in "ABC":
        shutil.rmtree(tmp_path / f"{condition}_seed123")
    assert find_experiment(tmp_path).runs == tuple(run for run in runs if run.seed != 123)


def test_of_several_experiments_the_newest_is_shown_and_the_others_are_named(tmp_path: Path) -> None:
    for name, time in (("old", 1.0), ("new", 2.0)):
        write_run(tmp_path / name, scaling(), "demo", RunId("A", 42))
        os.utime(tmp_path / name, (time, time))
    found = find_experiment(tmp_path)
    assert (found.folder.name, [one.name for one in found.others]) == ("new", ["old"])


def test_runs_that_the_experiment_does_not_name_are_counted(tmp_path: Path) -> None:
    experiment = scaling()
    write_runs(tmp_path, experiment)
    keep_experiment(tmp_path, experiment)
    write_run(tmp_path, experiment, "demo", RunId("A", 7))
    assert find_experiment(tmp_path).unnamed == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "DIR: no such folder"),
        (lambda path: path.write_text("x"), "DIR: is a file"),
        (lambda path: path.mkdir(), "DIR: holds no run"),
        (lambda path: path.symlink_to(path), "DIR: cannot be read: Too many levels of symbolic links"),
    ],
)
def test_a_folder_that_cannot_be_shown_is_one_line(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "dir"
    make(path)  # type: ignore[operator]
    with pytest.raises(BadInput) as raised:
        find_experiment(path)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_kept_text_that_is_no_experiment_names_its_line(tmp_path: Path) -> None:
    write_run(tmp_path, scaling(), "demo", RunId("A", 42))
    (tmp_path / KEPT_EXPERIMENT).write_text('name = "x"\nseeds = 7\n')
    with pytest.raises(BadInput, match=r"experiment\.toml:2: seeds: "):
        find_experiment(tmp_path)


@pytest.mark.parametrize("name", ["A_seed042", "A_seed", "_seed42", "A_seed42.replaced", "-x_seed1", "A/_seed1"])
def test_a_name_that_no_run_has_is_none(name: str) -> None:
    assert run_of_name(name) is None
    assert run_of_name("A.2_seed_x_seed0") == RunId("A.2_seed_x", 0)
