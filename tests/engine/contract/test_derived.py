from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.contract.bad_input import BadInput
from engine.contract.experiment import root_of
from engine.contract.experiment_reader import read_experiment
from engine.contract.experiment_text import derived_path
from engine.contract.settings import RunId, differences, encoders_of, resolve, run_ids
from engine.contract.toml_file import find_config

DERIVED = """# what came after the first results

[conditions."B.2"]
title = "less oversampling"
edition = "v2.3"
curriculum = "oversample"
curriculum_weights = { tier2_robust = 1.5, tier3_adversarial = 2.0 }

[conditions."B.2".derived]
parent = "B"
reason = "tier1 regressed"
at = "2026-11-27T08:00:00+00:00"
profiles = ["full"]
results = "00ff"
"""
SEEDS = """
[[added_seeds]]
seeds = [789, 1011]
reason = "4 more seeds settle B - A"
at = "2026-11-27T08:00:00+00:00"
profiles = ["full"]
"""


def write(folder: Path, derived: str, own: str | None = None) -> Path:
    path = folder / "scaling.toml"
    path.write_text(own if own is not None else find_config("scaling.toml").read_text())
    (folder / "scaling.derived.toml").write_text(derived)
    return path


def test_a_derived_condition_stands_in_the_profiles_it_was_derived_in_and_changes_no_other_run(tmp_path: Path) -> None:
    experiment, plain = read_experiment(write(tmp_path, DERIVED)), read_experiment(find_config("scaling.toml"))
    assert [run.label for run in run_ids(experiment, "full")][-3:] == ["B.2/42", "B.2/123", "B.2/456"]
    for profile in ("demo", "smoke"):
        assert run_ids(experiment, profile) == run_ids(plain, profile)
    for run in run_ids(plain, "full"):
        assert resolve(experiment, "full", run).fingerprint() == resolve(plain, "full", run).fingerprint()
    assert [str(one) for one in differences(experiment, "B.2", "full")] == [
        "curriculum_weights.tier2_robust 1.5 (base 2.0)",
        "curriculum_weights.tier3_adversarial 2.0 (base 4.0)",
    ]
    assert encoders_of(experiment, "full") == encoders_of(plain, "full")
    assert root_of(experiment, "B.2") == root_of(experiment, "B") == "B"


def test_the_text_that_is_sent_is_one_file_with_the_same_experiment(tmp_path: Path) -> None:
    experiment = read_experiment(write(tmp_path, DERIVED + SEEDS))
    sent = tmp_path / "job" / "experiment.toml"
    sent.parent.mkdir()
    sent.write_text(experiment.text)
    remote = read_experiment(sent)
    assert run_ids(remote, "full") == run_ids(experiment, "full")
    for run in run_ids(experiment, "full"):
        assert resolve(remote, "full", run).fingerprint() == resolve(experiment, "full", run).fingerprint()


def test_added_seeds_are_of_every_condition_of_their_profiles(tmp_path: Path) -> None:
    experiment = read_experiment(write(tmp_path, DERIVED + SEEDS))
    assert {run.condition for run in run_ids(experiment, "full") if run.seed == 1011} == {"A", "B", "C", "B.2"}
    assert {run.seed for run in run_ids(experiment, "demo")} == {42, 123, 456}


def test_the_budget_of_a_derived_condition_counts_over_the_profiles(tmp_path: Path) -> None:
    text = DERIVED.replace('profiles = ["full"]', 'profiles = ["demo"]')
    text = text.replace(
        "curriculum_weights = { tier2_robust = 1.5,", "training = { steps = 7 }\ncurriculum_weights = {"
    )
    experiment = read_experiment(write(tmp_path, text))
    assert resolve(experiment, "demo", RunId("B.2", 42)).training.budget == "7 steps"
    assert resolve(experiment, "demo", RunId("B", 42)).training.budget == "8 epochs"
    assert [one.setting for one in differences(experiment, "B.2", "demo")][:2] == ["training.epochs", "training.steps"]


def changed(old: str, new: str) -> str:
    assert old in DERIVED
    return DERIVED.replace(old, new)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (changed('parent = "B"', 'parent = "X"'), 10, "conditions.B.2.derived.parent: no condition 'X'; known: A, B, C"),
        (changed('parent = "B"', 'parent = "B.2"'), 10, "conditions.B.2.derived.parent: B.2 from B.2: a condition cannot"),
        (changed('["full"]', '["fall"]'), 13, "conditions.B.2.derived.profiles: no profile 'fall'; known: full, smoke"),
        (changed("reason =", "raison ="), 11, "conditions.B.2.derived.raison: there is no such setting"),
        (changed('"tier1 regressed"', '""'), 11, "conditions.B.2.derived.reason: must not be empty"),
        (changed("1.5", '"x"'), 7, "conditions.B.2.curriculum_weights.tier2_robust: must be a number, not text"),
        (changed('curriculum = "oversample"', 'curriculum = "over"'), 6, "conditions.B.2.curriculum: no curriculum 'over'"),
        (changed('"B.2"', '"B/2"'), 3, 'conditions."B/2": a name here must be up to 64 letters'),
        (changed('"B.2"', "B"), 3, "conditions.B: scaling.toml has a condition B already"),
        (DERIVED + '[conditions.C.training]\nepochs = 9\n', 15, "conditions.C: scaling.toml has a condition C already"),
        (DERIVED[: DERIVED.index('[conditions."B.2".derived]')], 3, "conditions.B.2: a condition here has a table `derived`"),
        ("seeds = [1]\n", 1, "seeds: only derived conditions and added seeds are kept here; move it to scaling.toml"),
        ("conditions = 3\n", None, "conditions are stated as tables"),
        ("added_seeds = []\n", None, "conditions are stated as tables"),
        (DERIVED + "[oops", 15, "not valid TOML"),
        ("\0", 1, "not valid TOML"),
        (SEEDS.replace("789", "456"), 3, "added_seeds[0].seeds: profile full has seed 456 already"),
        (SEEDS + SEEDS.replace("789", "790"), 9, "added_seeds[1].seeds: profile full has seed 1011 already"),
        (SEEDS + SEEDS.replace("full", "most"), 12, "added_seeds[1].profiles: no profile 'most'"),
    ],
)  # fmt: skip
def test_an_error_names_the_file_of_derived_conditions_its_line_and_the_field(
    tmp_path: Path, text: str, line: int | None, message: str
) -> None:
    path = derived_path(write(tmp_path, text))
    at = f"{path}:{line}: " if line else f"{path}: "
    with pytest.raises(BadInput, match=f"^{re.escape(at + message)}"):
        read_experiment(path.with_name("scaling.toml"))


def test_an_error_in_the_experiment_itself_still_names_its_own_file(tmp_path: Path) -> None:
    text = find_config("scaling.toml").read_text()
    path = write(tmp_path, DERIVED, text.replace("learning_rate = 3e-4", "learning_rate = inf"))
    line = text[: text.index("learning_rate = 3e-4")].count("\n") + 1
    with pytest.raises(BadInput, match=f"^{re.escape(f'{path}:{line}: training.learning_rate')}"):
        read_experiment(path)


def test_a_file_of_derived_conditions_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    derived_path(path).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"scaling\.derived\.toml: is not UTF-8 text"):
        read_experiment(path)


def test_an_experiment_with_inline_conditions_takes_no_derived_ones(tmp_path: Path) -> None:
    own = find_config("scaling.toml").read_text()
    own = own.replace("[conditions.C]\n", "[conditions.D]\n")
    start, end = own.index("[conditions.A]"), own.index("[curricula.uniform]")
    conditions = ", ".join(f'{name} = {{ title = "t", edition = "v2.3", curriculum = "uniform" }}' for name in "ABC")
    path = write(tmp_path, DERIVED, f"conditions = {{ {conditions} }}\n" + own[:start] + own[end:])
    with pytest.raises(BadInput, match=r"scaling\.derived\.toml: conditions are stated as tables"):
        read_experiment(path)
    derived_path(path).unlink()
    assert set(read_experiment(path).conditions) == set("ABC")


@pytest.mark.parametrize(
    ("step", "field"),
    [
        ('conditions = ["B", "Z"]', "contingency[3].conditions: no condition 'Z'"),
        ('conditions = ["B"]\nfall_back = "Z"', "contingency[3].fall_back: no condition 'Z'"),
        ('conditions = ["B"]\nchanges = { curricula = {} }', "contingency[3].changes"),
        ('conditions = ["B"]\nchanges = { training = { epoch = 3 } }', "contingency[3].changes.training.epoch"),
        ('conditions = ["B"]\n[contingency.changes.synthetics]\nleast_gap = 2', "contingency[3].changes.synthetics.least_gap"),
    ],
)  # fmt: skip
def test_a_wrong_contingency_step_is_named_by_its_place_and_line(tmp_path: Path, step: str, field: str) -> None:
    own = find_config("scaling.toml").read_text()
    start = len(own.splitlines())
    path = write(tmp_path, "", f'{own}[[contingency]]\ntitle = "t"\nadvice = "a"\n{step}\n')
    line = start + len(f"[[contingency]]\ntitle\nadvice\n{step}".splitlines())
    with pytest.raises(BadInput, match=f"^{re.escape(f'{path}:{line}: {field}')}") as caught:
        read_experiment(path)
    assert caught.value.line == line
