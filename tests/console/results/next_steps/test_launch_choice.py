"""What is typed becomes runs: existing ones, a derived condition, new seeds, or an error in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.results.next_steps.derive import Origin, write_addition
from console.results.next_steps.launch_choice import (
    LaunchChoice,
    Typed,
    choose,
    error_lines,
    parse_seeds,
    seeds_text,
    split_settings,
)
from engine.contract.bad_input import BadInput
from engine.contract.experiment import Experiment
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, resolve, run_ids
from engine.contract.toml_file import find_config

SCALING = read_experiment(find_config("scaling.toml"))


def chosen(
    *conditions: str,
    seeds: str = "",
    settings: tuple[str, ...] = (),
    experiment: Experiment = SCALING,
    profile: str = "full",
) -> LaunchChoice:
    because = Origin("why not", profile, "", "2026-11-27T08:00:00+00:00", "ann@box")
    return choose(experiment, profile, Typed(conditions, seeds, settings), because)


def labels(choice: LaunchChoice) -> list[str]:
    return [one.run.label for one in choice.runs]


NESTED = f"encoder.layers: {chr(91) * 60} … (5,000 characters) is not a list such as [1, 2], each a whole number from 0 to 1,000"


def test_nothing_typed_is_the_whole_matrix_with_the_settings_hashes_that_a_launch_has() -> None:
    choice = chosen()
    assert choice.run_ids == run_ids(SCALING, "full") and choice.addition is None and not choice.lines
    assert {one.settings_hash for one in choice.runs} == {
        resolve(SCALING, "full", run).fingerprint() for run in choice.run_ids
    }


def test_a_changed_setting_makes_a_derived_condition_that_the_written_file_resolves_to_the_same_hash(
    tmp_path: Path,
) -> None:
    file = tmp_path / "scaling.toml"
    file.write_text(find_config("scaling.toml").read_text())
    choice = chosen("A", "B", seeds="7,42", settings=("training.epochs=3", "curriculum.tier3=2.0"))
    assert labels(choice) == ["A.2/7", "A.2/42", "B.2/7", "B.2/42"] and all(one.is_new for one in choice.runs)
    assert choice.lines == (
        "A.2 is new, from A: training.epochs 3 (A: 2), curriculum_weights.tier3_adversarial 2.0 (A: 1.0)",
        "B.2 is new, from B: training.epochs 3 (B: 2), curriculum_weights.tier3_adversarial 2.0 (B: 4.0)",
        "new for every condition: seed 7",
    )
    assert choice.addition is not None and choice.addition.title == "A.2, B.2 and seeds 7"
    written = write_addition(file, choice.addition, "full")
    assert [resolve(written, "full", one.run).fingerprint() for one in choice.runs] == [
        one.settings_hash for one in choice.runs
    ]
    again = chosen("A", "B", seeds="7,42", settings=("epochs=3", "tier3=2"), experiment=written)
    assert labels(again) == labels(choice) and again.addition is None  # the same once more adds nothing
    assert again.lines[0].startswith("A.2 has these settings already: A with training.epochs 3")


def test_a_value_that_a_condition_has_already_is_no_change() -> None:
    choice = chosen("A", "B", settings=("curriculum.tier3=4",))
    assert [one.name for one in choice.conditions] == ["A.2", "B"]
    assert labels(chosen("A", settings=("epochs=8",), profile="demo")) == ["A/42", "A/123", "A/456"]
    assert labels(chosen("B", settings=("edition=v2.2", "curriculum=uniform"))) == ["A/42", "A/123", "A/456"]


def test_without_conditions_changes_apply_to_those_that_are_not_derived() -> None:
    with_a2 = chosen("A", settings=("epochs=3",)).experiment
    assert [one.name for one in chosen(settings=("epochs=3",), experiment=with_a2).conditions] == ["A.2", "B.2", "C.2"]
    assert [one.name for one in chosen(experiment=with_a2).conditions] == ["A", "B", "C", "A.2"]
    assert [one.name for one in chosen("A", "A.2", settings=("layers=6",), experiment=with_a2).conditions] == [
        "A.3",
        "A.4",
    ]


@pytest.mark.parametrize(
    ("conditions", "seeds", "settings", "expected"),
    [
        (("A", "D"), "", (), ["conditions: no condition 'D' in profile full; known: A, B, C"]),
        ((), "x", (), ["seeds: x is no seed; seeds are whole numbers and ranges, such as 42, 700-705"]),
        ((), "-1", (), ["seeds: -1 is no seed; seeds are whole numbers and ranges, such as 42, 700-705"]),
        ((), "9-3", (), ["seeds: 9-3 ends before it begins"]),
        ((), "0-5000", (), ["seeds: 0-5000 has more than 1000 seeds"]),
        ((), "99999999999", (), ["seeds: 99999999999: a seed is at most 2,147,483,647"]),
        ((), "", ("epochs=x",), ["training.epochs: x is not a whole number from 1 to 10,000"]),
        ((), "", ("layers=" + "[" * 5000,), [NESTED]),
        ((), "", ("epochs=3", "training.epochs=4"), ["training.epochs: is given twice"]),
        (
            (),
            "",
            ("epochs",),
            ["training.epochs: its value is missing: training.epochs=a whole number from 1 to 10,000"],
        ),
        (("A",), "", ("epochs=3", "steps=4"), ["a budget is in epochs or in steps, not in both"]),
        (("A",), "", ("trained_layers=3", "layers=2"), ["there are no 3 layers to train up to layer 2"]),
        (
            ("A",),
            "",
            ("context_weights=1", "architecture=residual"),
            ["model.context_weights: condition A.2 needs none or 4 weights, two for each of its 2 layers; there are 1"],
        ),
        (
            ("D",),
            "x",
            ("epoch=3",),
            [
                "conditions: no condition 'D' in profile full; known: A, B, C",
                "seeds: x is no seed; seeds are whole numbers and ranges, such as 42, 700-705",
                "epoch: no such setting; did you mean training.epochs?",
            ],
        ),
    ],
)
def test_errors_are_in_words_and_nothing_is_chosen(
    conditions: tuple[str, ...], seeds: str, settings: tuple[str, ...], expected: list[str]
) -> None:
    choice = chosen(*conditions, seeds=seeds, settings=settings)
    assert list(error_lines(choice)) == expected
    assert not choice.runs and choice.addition is None


def test_settings_of_a_condition_that_the_profile_does_not_have_are_not_repeated() -> None:
    choice = chosen("A", settings=("edition=v2.3", "curriculum=oversample"), profile="smoke")
    assert list(error_lines(choice)) == ["these are the settings of B, which profile smoke does not have"]


def test_seeds_are_read_and_written_with_ranges() -> None:
    assert parse_seeds(" 1..3 9 - 10;4,4") == (1, 2, 3, 9, 10, 4) and parse_seeds(" ") == ()
    assert (seeds_text((7,)), seeds_text((7, 8, 42, 700, 701, 702))) == ("seed 7", "seeds 7, 8, 42, 700-702")
    assert RunId("A", 2**31 - 1) in chosen("A", seeds="2147483647").run_ids
    with pytest.raises(BadInput, match="no seed"):
        parse_seeds("[bold]")


def test_a_line_of_settings_is_split_where_the_next_name_begins() -> None:
    assert split_settings("training.epochs=3; curriculum.tier3=2.0, sense_text=lemma: gloss layers=3, 6;") == (
        "training.epochs=3",
        "curriculum.tier3=2.0",
        "sense_text=lemma: gloss",
        "layers=3, 6",
    )
