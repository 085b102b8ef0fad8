"""Settings are found by their names, and values are checked with errors in words."""

from __future__ import annotations

from typing import Any

import pytest

from console.results.next_steps.setting_names import (
    find_setting,
    matching_settings,
    parse_value,
    present_values,
    setting_names,
)
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId, resolve
from engine.contract.toml_file import find_config

SCALING = read_experiment(find_config("scaling.toml"))


def test_every_setting_has_a_help_text_a_kind_of_value_and_a_present_value() -> None:
    assert set(present_values(SCALING, "demo", "B")) == {one.name for one in setting_names()}
    for one in setting_names():
        assert one.help and one.value and find_setting(one.name) is one
    present = present_values(SCALING, "demo", "B")
    assert (present["training.epochs"], present["curriculum_weights.tier3_adversarial"]) == (8, 4.0)
    assert present["training.epochs"] == resolve(SCALING, "demo", RunId("B", 1)).training.epochs


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("training.epochs", "training.epochs"),
        ("epochs", "training.epochs"),
        (" Learning-Rate ", "training.learning_rate"),
        ("curriculum.tier3", "curriculum_weights.tier3_adversarial"),
        ("tier2", "curriculum_weights.tier2_robust"),
        ("curriculum", "curriculum"),
    ],
)
def test_a_setting_is_found_by_its_name_or_its_unmistakable_part(typed: str, name: str) -> None:
    assert find_setting(typed).name == name


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("training.epoch", "training.epoch: no such setting; did you mean training.epochs?"),
        ("lerning_rate", "lerning_rate: no such setting; did you mean training.learning_rate?"),
        ("xyz", "xyz: no such setting"),
        ("gates.retrieval_top1", "gates.retrieval_top1: holds for the whole experiment"),
        ("seeds", "seeds: seeds are not settings of a condition"),
        ("bundles", "bundles: names files"),
        ("", "setting: the name of a setting is missing"),
        ("\x1b[31mx", "no such setting"),
    ],
)
def test_an_unknown_name_says_what_was_meant(typed: str, message: str) -> None:
    with pytest.raises(BadInput) as error:
        find_setting(typed)
    assert message in str(error.value) and "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "typed", "expected"),
    [
        ("training.epochs", "3", 3),
        ("training.learning_rate", "1e-4", 1e-4),
        ("tier3", "2", 2.0),
        ("dropout", ".2", 0.2),
        ("layers", "3, 6", (3, 6)),
        ("layers", "[6]", (6,)),
        ("sense_text", "lemma: gloss", "lemma: gloss"),
        ("edition", '"v2.2"', "v2.2"),
    ],
)
def test_a_value_needs_no_quotes_and_no_brackets(name: str, typed: str, expected: Any) -> None:
    assert parse_value(find_setting(name), typed, SCALING) == expected


@pytest.mark.parametrize(
    ("name", "typed", "message"),
    [
        ("training.epochs", "x", "x is not a whole number from 1 to 10,000"),
        ("training.epochs", "2.5", "2.5 is not a whole number from 1 to 10,000"),
        ("training.epochs", "", "its value is missing: a whole number from 1 to 10,000"),
        ("learning_rate", "inf", "inf is not a number above 0"),
        ("weight_decay", "nan", "nan is not a number, 0 or more"),
        ("dropout", "1", "1 is not a number from 0 to below 1"),
        ("max_tokens", "3", "3 is not a whole number from 8 to 8,192"),
        ("edition", "v9", "v9 is not one of enriched, v2.2, v2.3"),
        ("curriculum", "x", "x is not one of uniform, oversample"),
        ("layers", "", "its value is missing: a list such as [1, 2], each a whole number from 0 to 1,000"),
        ("training.epochs", '3\n[evil]\na = "b"', "is not a whole number from 1 to 10,000"),
    ],
)
def test_a_value_is_checked_in_words(name: str, typed: str, message: str) -> None:
    setting = find_setting(name)
    with pytest.raises(BadInput) as error:
        parse_value(setting, typed, SCALING)
    assert message in error.value.message and error.value.field == setting.name


def test_the_completion_finds_by_the_beginning_of_a_name_first_and_by_the_help() -> None:
    assert matching_settings("ep")[0].name == "training.epochs"
    assert matching_settings("training.lea")[0].name == "training.learning_rate"
    assert [one.name for one in matching_settings("oversampling tier 3")] == ["curriculum_weights.tier3_adversarial"]
    assert len(matching_settings("")) == len(setting_names()) and not matching_settings("zzz")
