from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from console.results.next_steps.derive import (
    Addition,
    Origin,
    added_seeds,
    derive,
    difference_text,
    error_in_typed,
    next_name,
    next_seeds,
    toml_value,
    with_addition,
    write_addition,
)
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.experiment_text import derived_path
from engine.contract.settings import RunId, resolve, run_ids
from engine.contract.toml_file import find_config, load_toml

LESS = "[curriculum_weights]\ntier2_robust = 1.5\ntier3_adversarial = 2.0\n"


def because(reason: str = "tier1 regressed", profile: str = "full") -> Origin:
    return Origin(reason, profile, "ab" * 32, "2026-11-27T08:00:00+00:00", "ann@box")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scaling.toml"
    path.write_text(find_config("scaling.toml").read_text())
    return path


def add(file: Path, parent: str, difference: str, origin: Origin | None = None, profile: str = "full") -> Experiment:
    addition = derive(read_experiment(file), profile, parent, difference, origin or because(profile=profile))
    return write_addition(file, addition, profile)


def test_a_derived_condition_is_its_parent_with_the_difference_and_says_where_it_is_from(file: Path) -> None:
    experiment = add(file, "B", LESS)
    one = experiment.conditions["B.2"]
    assert one.derived is not None
    assert (one.derived.parent, one.derived.reason, one.derived.results) == ("B", "tier1 regressed", "ab" * 32)
    assert (one.derived.profiles, one.derived.by, one.title) == (
        ("full",), "ann@box", "from B: tier2_robust 1.5, tier3_adversarial 2.0",
    )  # fmt: skip
    parent, own = (resolve(experiment, "full", RunId(name, 42)) for name in ("B", "B.2"))
    assert (own.curriculum.tier2_robust, own.curriculum.tier3_adversarial) == (1.5, 2.0)
    assert (own.edition, own.training, own.encoder) == (parent.edition, parent.training, parent.encoder)
    assert read_experiment(file) == experiment


def test_comments_and_conditions_that_are_there_stay_and_names_count_on(file: Path) -> None:
    add(file, "B", LESS)
    path = derived_path(file)
    path.write_text(path.read_text() + "# mine\n")
    experiment = add(file, "B.2", "[curriculum_weights]\ntier3_adversarial = 1.0\n")
    assert "# mine\n" in path.read_text() and path.read_text().startswith("# Conditions and seeds")
    assert next_name(experiment, "B") == next_name(experiment, "B.3") == "B.4" and next_name(experiment, "C") == "C.2"
    weights = resolve(experiment, "full", RunId("B.3", 42)).curriculum
    assert (weights.tier2_robust, weights.tier3_adversarial) == (1.5, 1.0)
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("parent", "difference", "expected"),
    [
        ("A", 'curriculum = "oversample"\n', ("v2.2", 4.0)),
        ("B", 'curriculum = "uniform"\n', ("v2.3", 1.0)),
        ("B", 'edition = "v2.2"\n', ("v2.2", 4.0)),
    ],
)
def test_data_and_curriculum_are_parted_by_a_derived_condition(
    file: Path, parent: str, difference: str, expected: tuple[str, float]
) -> None:
    own = resolve(add(file, parent, difference), "full", RunId(f"{parent}.2", 42))
    assert (own.edition, own.curriculum.tier3_adversarial) == expected


@pytest.mark.parametrize("profile", ["full", "demo"])
def test_a_budget_of_steps_replaces_that_of_the_profile_too(file: Path, profile: str) -> None:
    experiment = add(file, "C", "[training]\nsteps = 254\n", profile=profile)
    assert resolve(experiment, profile, RunId("C.2", 42)).training.budget == "254 steps"
    experiment = add(file, "C.2", "[training]\nlearning_rate = 1e-4\n", profile=profile)
    assert resolve(experiment, profile, RunId("C.3", 42)).training.budget == "254 steps"


def test_a_budget_that_the_profile_replaces_in_the_parent_is_not_the_derived_conditions(file: Path) -> None:
    file.write_text(file.read_text().replace("[conditions.C]", "[conditions.B.training]\nsteps = 9\n\n[conditions.C]"))
    experiment = add(file, "B", LESS, profile="demo")
    assert (
        resolve(experiment, "demo", RunId("B.2", 42)).training == resolve(experiment, "demo", RunId("B", 42)).training
    )


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ("", "nothing differs from B"),
        ('title = "x"', "nothing differs from B"),
        ("[curriculum_weights]\ntier2_robust = 2.0\n", "it would have the settings of B in profile full"),
        (
            "[curriculum_weights]\n\ntier_two = 2.0\n",
            "line 3: curriculum_weights.tier_two: there is no such setting; did you mean",
        ),
        ("[training]\nsteps = 4\nepochs = 2\n", "line 1: training: a budget is in epochs or in steps, not in both"),
        ("[training]\nlearning_rate = inf\n", "line 2: training.learning_rate: must be a number of at most 1,000,000"),
        ('curriculum = "none"', "line 1: curriculum: no curriculum 'none'; known: uniform, oversample"),
        ("[derived]\nparent = 'A'", "line 1: derived: a condition can differ in title, edition"),
        ("training = 3", "line 1: training: a condition can differ in title, edition"),
        ("edition =", "line 1: not valid TOML"),
        ("title = 3\nedition = 'v2.2'", "line 1: title: must be text, not a whole number"),
    ],
)
def test_a_wrong_difference_is_refused_with_its_line_and_nothing_is_written(
    file: Path, difference: str, message: str
) -> None:
    addition = Addition(("B.2",), "")
    with pytest.raises(BadInput) as caught:
        addition = derive(read_experiment(file), "full", "B", difference, because())
        write_addition(file, addition, "full")
    assert error_in_typed(caught.value, addition, difference).startswith(message)
    assert not derived_path(file).exists()


def test_the_settings_of_another_derived_condition_are_not_run_again(file: Path) -> None:
    add(file, "B", LESS)
    with pytest.raises(BadInput, match=r"it would have the settings of B\.2"):
        add(file, "B", LESS)


def test_a_difference_says_what_the_parent_has_and_can_be_read_again(file: Path) -> None:
    experiment = read_experiment(file)
    changes = {"curriculum": "uniform", "curriculum_weights": {"tier2_robust": 1.5}, "training": {"steps": 254}}
    text = difference_text(experiment, "full", "B", changes)
    assert load_toml(text, file) == changes
    assert 'curriculum = "uniform"  # B: "oversample"' in text and "tier2_robust = 1.5  # B: 2.0" in text
    assert "steps = 254\n" in text  # B has none


def test_seeds_are_added_for_every_condition_of_one_profile(file: Path) -> None:
    experiment = read_experiment(file)
    assert next_seeds(experiment, "full", 4) == (789, 1011, 1213, 1415)
    experiment = write_addition(file, added_seeds((789, 1011), because()), "full")
    assert {run.condition for run in run_ids(experiment, "full") if run.seed == 1011} == {"A", "B", "C"}
    assert next_seeds(experiment, "full", 1) == (1213,) and next_seeds(experiment, "demo", 1) == (789,)
    with pytest.raises(
        BadInput, match=r"derived\.toml:\d+: added_seeds\[1\]\.seeds: profile full has seed 789 already"
    ):
        write_addition(file, added_seeds((789,), because()), "full")


@pytest.mark.parametrize(
    "reason", ['quotes "and" \\ backslash', "bell \x07 \x7f\ntwo lines", "naïve 数 \ud800", "x" * 5000]
)
def test_any_reason_is_kept_as_one_safe_line(file: Path, reason: str) -> None:
    from console.results.next_steps.derive import origin

    experiment = add(file, "B", LESS, origin(reason, "full", ""))
    derived = experiment.conditions["B.2"].derived
    assert derived is not None and derived.reason.isprintable() and derived.reason[:5] == reason[:5]
    assert derived.results == "" and re.fullmatch(r".+@.+", derived.by)


def test_toml_values_are_read_back_as_they_were() -> None:
    value = {"a b": [1, 2.5, True, 'x"\\\n\x7f'], "c": {"d": 1e-9}}
    assert load_toml(f"v = {toml_value(value)}", Path("x")) == {"v": value}


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    addition = derive(read_experiment(file), "full", "B", LESS, because())
    monkeypatch.setattr(os, "open", refuse)  # root may write into a read-only folder
    with pytest.raises(
        BadInput, match=r"scaling\.derived\.toml: cannot be written: Permission denied; copy scaling\.toml"
    ):
        write_addition(file, addition, "full")
    monkeypatch.undo()
    assert not derived_path(file).exists()


def test_a_damaged_file_is_left_as_it_is(file: Path) -> None:
    addition = derive(read_experiment(file), "full", "B", LESS, because())
    derived_path(file).write_text("[oops")
    with pytest.raises(BadInput, match=r"scaling\.derived\.toml:1: not valid TOML"):
        write_addition(file, addition, "full")
    assert derived_path(file).read_text() == "[oops"


def test_two_consoles_that_add_at_once_both_succeed_or_one_is_told(file: Path) -> None:
    origin, errors = because(), list[BadInput]()

    def seeds(first: int) -> None:
        try:
            write_addition(file, added_seeds((first,), origin), "full")
        except BadInput as error:
            errors.append(error)

    threads = [threading.Thread(target=seeds, args=(seed,)) for seed in range(1000, 1008)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not errors
    assert {run.seed for run in run_ids(read_experiment(file), "full")} >= set(range(1000, 1008))


def test_with_addition_writes_nothing(file: Path) -> None:
    text, experiment = with_addition(file, derive(read_experiment(file), "full", "B", LESS, because()), "full")
    assert "B.2" in experiment.conditions and '[conditions."B.2".derived]' in text and not derived_path(file).exists()
