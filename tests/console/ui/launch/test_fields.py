"""Completions of the line of settings."""

from __future__ import annotations

import pytest

from console.ui.launch.fields import completions_of
from engine.contract.experiment_reader import read_experiment
from engine.contract.toml_file import find_config

SCALING = read_experiment(find_config("scaling.toml"))


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("epo", "training.epochs="),
        ("training.epochs=3 bat", "training.epochs=3 training.batch_size="),
        ("training.epochs=3; drop", "training.epochs=3; model.dropout="),
        ("curriculum=", "curriculum=uniform"),
        ("curriculum=ov", "curriculum=oversample"),
        ("sense_text=lemma (", "sense_text=lemma (pos): gloss"),
    ],
)
def test_names_and_values_are_completed_where_they_begin(typed: str, completed: str) -> None:
    first = completions_of(typed, SCALING)[0]
    assert typed[: first.start] + first.text == completed


@pytest.mark.parametrize("typed", ["layers=", "layers=3", "layers=3, 6", "curriculum=uniform"])
def test_while_a_value_is_typed_its_setting_is_told(typed: str) -> None:
    (told,) = completions_of(typed, SCALING)
    assert told.setting.field == typed.partition("=")[0] and not told.text


def test_after_a_value_any_setting_may_follow_and_an_unknown_one_has_no_completion() -> None:
    assert len(completions_of("epochs=3 ", SCALING)) == len(completions_of("", SCALING)) > 40
    assert completions_of("zzz", SCALING) == completions_of("zzz=1", SCALING) == ()
