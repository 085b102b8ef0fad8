"""The experiment: the shipped file, its matrix, its profiles, the settings of a run."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from engine.contract.bad_input import BadInput
from engine.contract.experiment import Curriculum, Experiment, folder_name, read_experiment
from engine.contract.settings import RunId, resolve, run_ids
from engine.contract.toml_file import find_config


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return read_experiment(find_config("scaling.toml"))


def test_the_matrix_is_three_conditions_by_three_seeds(experiment: Experiment) -> None:
    runs = run_ids(experiment, "full")
    assert len(runs) == 9 and {run.seed for run in runs} == {42, 123, 456}
    assert [run.condition for run in runs] == list("AAABBBCCC")


def test_smoke_is_one_run_of_two_epochs(experiment: Experiment) -> None:
    (run,) = run_ids(experiment, "smoke")
    assert run == RunId("A", 42) and resolve(experiment, "smoke", run).training.epochs == 2


def test_the_ship_blockers_are_those_of_the_experiment(experiment: Experiment) -> None:
    gates = experiment.gates
    assert (gates.retrieval_top1, gates.retrieval_top3, gates.coherence_accuracy) == (0.30, 0.50, 0.80)


def test_b_and_c_oversample_tier2_twice_and_tier3_four_times(experiment: Experiment) -> None:
    for condition in "BC":
        curriculum = resolve(experiment, "full", RunId(condition, 42)).curriculum
        assert [curriculum.weight(tier) for tier in ("tier1_easy", "tier2_robust", "tier3_adversarial")] == [1, 2, 4]
    assert resolve(experiment, "full", RunId("A", 42)).curriculum == Curriculum()


def test_profiles_are_kept_apart_on_disk(experiment: Experiment) -> None:
    assert folder_name(experiment, "full") == "scaling" and folder_name(experiment, "demo") == "scaling-demo"


def test_every_setting_changes_the_fingerprint(experiment: Experiment) -> None:
    settings = resolve(experiment, "full", RunId("A", 42))
    others = [
        resolve(experiment, "full", RunId("A", 123)),
        resolve(experiment, "full", RunId("B", 42)),
        resolve(experiment, "smoke", RunId("A", 42)),
        msgspec.structs.replace(settings, training=msgspec.structs.replace(settings.training, learning_rate=1e-9)),
        msgspec.structs.replace(settings, gates=msgspec.structs.replace(settings.gates, retrieval_top1=0.31)),
    ]
    prints = {one.fingerprint() for one in [settings, *others]}
    assert len(prints) == 6 and settings.fingerprint() == resolve(experiment, "full", RunId("A", 42)).fingerprint()


@pytest.mark.parametrize("run", [RunId("D", 42), RunId("A", -1), RunId("A", 2**31)])
def test_an_unknown_condition_or_a_seed_out_of_range_is_refused(experiment: Experiment, run: RunId) -> None:
    with pytest.raises(BadInput):
        resolve(experiment, "full", run)


def test_a_profile_that_names_an_unknown_condition_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(find_config("scaling.toml").read_text().replace('conditions = ["A"]', 'conditions = ["Z"]'))
    with pytest.raises(BadInput, match=r"experiment.toml:\d+: profiles.smoke.conditions: no condition 'Z'"):
        read_experiment(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [42, 123, 456]", "seeds = [42, 123, 42]", "seeds: 42 is named 2 times"),
        ("seeds = [42]", "seeds = [42, 7, 42, 42]", "profiles.smoke.seeds: 42 is named 3 times"),
        ('conditions = ["A"]', 'conditions = ["A", "A"]', "profiles.smoke.conditions: 'A' is named 2 times"),
        ("[conditions.B]", "[conditions.A]", "not valid TOML: Cannot declare ('conditions', 'A') twice"),
    ],
)
def test_a_seed_or_condition_named_twice_is_refused_with_file_line_and_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "experiment.toml"
    text = find_config("scaling.toml").read_text()
    head, tail = text.split(old, 1)
    path.write_text(head + new + tail)
    line = head.count("\n") + 1
    with pytest.raises(BadInput, match=f"^{re.escape(f'{path}:{line}: {message}')}$"):
        read_experiment(path)


@pytest.mark.parametrize("rate", ["inf", "nan", "0.0", "-1e-3"])
def test_a_learning_rate_that_is_not_positive_and_finite_is_refused(tmp_path: Path, rate: str) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(find_config("scaling.toml").read_text().replace("learning_rate = 3e-4", f"learning_rate = {rate}"))
    with pytest.raises(BadInput, match=r"experiment\.toml:\d+: training\.learning_rate"):
        read_experiment(path)
