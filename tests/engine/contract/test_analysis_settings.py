"""The tables [analysis] and [outcomes.X]: defaults, mistakes with file, line and field; no run depends on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.analysis_settings import AnalysisSettings, Expectation, Timeline
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import resolve, run_ids
from engine.contract.toml_file import find_config


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.toml"
    path.write_text(find_config("scaling.toml").read_text())
    return path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_without_a_table_each_condition_is_compared_with_the_one_before_and_the_first_is_the_control() -> None:
    settings = AnalysisSettings()
    assert settings.pairs(("A", "B", "C")) == (("B", "A"), ("C", "B"))
    assert settings.control_of(("A", "B", "C")) == "A" and settings.pairs(("A",)) == ()
    assert settings.control_of(()) is None and settings.pairs(()) == ()


def test_stated_comparisons_and_control_hold_where_the_profile_has_their_conditions() -> None:
    settings = AnalysisSettings(comparisons=(("B", "A"), ("C", "B")), control="A")
    assert settings.pairs(("A", "B")) == (("B", "A"),) and settings.pairs(("A", "C")) == ()
    assert settings.control_of(("B", "C")) is None


def test_the_shipped_experiment_compares_b_with_a_and_c_with_b_and_says_what_is_expected() -> None:
    experiment = read_experiment(find_config("scaling.toml"))
    assert experiment.analysis.pairs(tuple(experiment.conditions)) == (("B", "A"), ("C", "B"))
    assert experiment.analysis.must_not_regress == ("tier1_easy", "coherence_accuracy")
    assert experiment.analysis.margin_points == 2.0
    assert list(experiment.outcomes["B"].expectations()) == [
        Expectation("retrieval_top1", 2.0, 5.0),
        Expectation("tier1_easy", -2.0, None),
    ]
    assert next(experiment.outcomes["C"].expectations()) == Expectation("retrieval_top1", 5.0, 10.0)


def test_the_shipped_timeline_is_the_default_one_in_minutes() -> None:
    experiment = read_experiment(find_config("scaling.toml"))
    assert experiment.timeline == Timeline() == Timeline(30.0, 40.0, 420.0, 60.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('[["B", "A"], ["C", "B"]]', '[["B", "Z"]]', r"analysis.comparisons: no condition 'Z'; known: A, B, C"),
        ('[["B", "A"], ["C", "B"]]', '[["B", "B"]]', r"analysis.comparisons: 'B' is compared with itself"),
        ('[["B", "A"], ["C", "B"]]', '[["B", "A"], ["A", "B"]]', r"comparisons: 'A' and 'B' are compared 2 times"),
        ('[["B", "A"], ["C", "B"]]', '[["B"]]', r"analysis.comparisons: must be a list of 2 entries"),
        ("run = 40", "run = -1", r"timeline.run: must be a number above 0"),
        ("set_up = 30", "setup = 30", r"timeline.*setup"),
        ('control = "A"', 'control = "Z"', r"analysis.control: no condition 'Z'"),
        ('["tier1_easy", "coherence_accuracy"]', '["tier9"]', r"analysis.must_not_regress: 'tier9' is not one of: "),
        (
            '["tier1_easy", "coherence_accuracy"]',
            '["tier1_easy", "tier1_easy"]',
            r"must_not_regress: 'tier1_easy' is named 2 times",
        ),
        ("margin_points = 2.0", "margin_points = 0.0", r"analysis.margin_points: must be a number above 0"),
        ("margin_points = 2.0", "margin = 2.0", r"analysis.margin: there is no such setting"),
        ("level = 0.05", "level = 5.0", r"analysis.level: must be a number of at most 0.5"),
        ("[outcomes.B]                     #", "[outcomes.Z] #", r"outcomes.Z: no condition 'Z'"),
        ('over = "A"', 'over = "Z"', r"outcomes.B.over: no condition 'Z'"),
        ('over = "A"', 'over = "B"', r"outcomes.B.over: a condition is not expected to gain over itself"),
        ("retrieval_top1 = [2, 5]", "retrieval_top1 = [5, 2]", r"outcomes.B.retrieval_top1: from 5 to 2 points"),
        (
            "retrieval_top1 = [2, 5]",
            "retrieval_top1 = [5]",
            r"outcomes.B.retrieval_top1: must be a list of at least 2 entries",
        ),
        ("retrieval_top1 = [2, 5]", "top1 = [2, 5]", r"outcomes.B.top1: there is no such setting"),
        ('over = "A"\nretrieval_top1 = [2, 5]\ntier1_easy = -2', 'over = "A"', r"outcomes.B: nothing is expected"),
        ('over = "A"\nretrieval_top1', "retrieval_top1", r"outcomes.B.tier1_easy: a score is not below 0"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_field(changed: Path, old: str, new: str, message: str) -> None:
    change(changed, old, new)
    with pytest.raises(BadInput, match=rf"experiment.toml:\d+: .*{message}"):
        read_experiment(changed)


def test_neither_table_changes_the_settings_of_a_run(changed: Path) -> None:
    before = read_experiment(changed)
    change(changed, "margin_points = 2.0", "margin_points = 1.0")
    change(changed, '[["B", "A"], ["C", "B"]]', '[["C", "A"]]')
    change(changed, "retrieval_top1 = [2, 5]", "retrieval_top1 = [3, 5]")
    after = read_experiment(changed)
    assert after.analysis != before.analysis and after.outcomes != before.outcomes
    for run in run_ids(before, "full"):
        assert resolve(before, "full", run).fingerprint() == resolve(after, "full", run).fingerprint()
