"""The page of results says what is known and no more, with the same figures on the screen, in text and in JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from console.results.aggregate import condition_result
from console.results.records import ModelScores, Results, RunResult
from console.results.report.result_sections import result_sections
from console.results.tables import Number
from console.ui.results.pane import page_content
from engine.contract.metrics import Margins, TierScore, judge
from engine.contract.settings import RunId, run_ids
from tests.console.results.reports import as_printed, as_text
from tests.console.ui.fake_session import SCALING, FakeSession
from tests.console.ui.scenes import finished, results_of

RUNS = run_ids(SCALING, "demo")


def make_results(*, coherence: float = 0.83) -> Results:
    session = FakeSession()
    session.show(*(finished(run, coherence=coherence) for run in session.snapshot.runs))
    return results_of(SCALING, session.snapshot)


def results_of_one_run(top1: float = 0.5) -> Results:
    session = FakeSession()
    session.show(finished(RunId("A", 42), top1=top1))
    return results_of(SCALING, session.snapshot)


def with_other_settings(results: Results, change: str) -> Results:
    """The first run ran with other settings."""
    first, *rest = results.runs
    return replace(results, runs=(replace(first, other_settings=change), *rest))


def test_all_passed() -> None:
    text = as_text(make_results())
    assert text.startswith("No verdict yet, only means   9 of 9 runs evaluated")
    assert text.count("verdict") == 1 and "mean passes" in text  # no column of means is called so
    assert "FAIL" not in text


def test_a_failed_ship_blocker_is_named() -> None:
    text = as_text(make_results(coherence=0.5))
    assert text.startswith("No verdict yet, only means")
    assert "FAIL 50.0" in text


def test_one_seed_has_a_mean_and_no_deviation() -> None:
    text = as_text(results_of_one_run())
    row = next(line for line in text.splitlines() if line.startswith("A ") and "1/3" in line)
    assert "50.0" in row
    assert "±" not in row
    assert "INCOMPLETE" in text


def test_scores_on_different_data_give_a_warning() -> None:
    assert "must not be compared" in unwrapped(as_text(replace(make_results(), comparable=False)))


def test_a_threshold_is_shown_with_the_digits_that_it_has() -> None:
    results = make_results()
    gates = judge({}, replace(SCALING.gates, retrieval_top1=0.305, retrieval_top3=0.29))
    text = as_text(replace(results, conditions=(replace(results.conditions[0], gates=gates),)))
    assert "top-1 ≥ 30.5 " in text and "top-3 ≥ 29 " in text


def test_tables_fit_eighty_columns() -> None:
    results = make_results()
    runs = tuple(replace(run, killer_set=120, killer_top1=0.5, state="finished") for run in results.runs)
    lines = as_text(replace(results, runs=runs)).splitlines()
    tables = [line for line in lines if "±" in line or line.startswith(("condition", "  mean pooling", "run", "A/"))]
    assert sum("50.0% of 120" in line for line in tables) == 3
    assert max(map(len, tables)) <= 76


def test_a_long_condition_is_cut_and_columns_stay_aligned() -> None:
    results = make_results()
    name = "条件" + "a" * 60
    conditions = (replace(results.conditions[0], condition=name), *results.conditions[1:])
    lines = page_content(result_sections(replace(results, conditions=conditions)))[0].split("\n")
    means = [line for line in lines if "3/3" in line.plain]
    assert "…" in means[0].plain and name not in means[0].plain
    assert len({line[: line.plain.index("3/3")].cell_length for line in means}) == 1


def test_a_run_of_a_long_condition_keeps_its_seed() -> None:
    results = make_results()
    runs = tuple(replace(run, condition="a" * 60) for run in results.runs if run.condition == "A")
    condition = replace(results.conditions[0], condition="a" * 60)
    lines = as_text(replace(results, runs=runs, conditions=(condition,))).splitlines()
    assert [line.split()[0] for line in lines[-4:-1]] == [
        f"{'a' * (18 - len(end))}{end}" for end in ("…/42", "…/123", "…/456")
    ]
    assert f"{'a' * 60} {condition.title}" in unwrapped("\n".join(lines))


def test_a_run_of_other_settings_is_marked() -> None:
    text = as_text(with_other_settings(make_results(), "training.epochs 10, now 5"))
    assert "8 of 9 runs evaluated" in text
    assert "! Left out of the means: 1 run with settings other than the experiment's.\n" in text
    lines = text.splitlines()
    run = next(at for at, line in enumerate(lines) if line.startswith("A/42 "))
    assert "46.1" in lines[run]
    assert lines[run + 1].strip() == "! other settings, left out: training.epochs 10, now 5"


def test_a_run_of_other_settings_was_evaluated_all_the_same() -> None:
    assert with_other_settings(results_of_one_run(), "seed 1, now 2").any_evaluated
    assert not results_of(SCALING, FakeSession().snapshot).any_evaluated


def test_a_run_without_scores_says_why() -> None:
    results = results_of_one_run()
    runs = [*results.runs]
    runs[1] = replace(runs[1], state="failed", reason="CUDA out of memory", problem="not synced yet")
    lines = as_text(replace(results, runs=tuple(runs))).splitlines()
    failed = next(at for at, line in enumerate(lines) if line.startswith("A/123"))
    assert lines[failed].split(maxsplit=2) == ["A/123", "failed", "CUDA out of memory"]
    assert lines[failed + 1].strip() == "not synced yet"
    assert sum(line.endswith("not launched") for line in lines) == 7


fractions = st.floats(0, 1)
cosines = st.floats(-2, 2)
scores = st.builds(
    ModelScores,
    fractions,
    fractions,
    fractions,
    st.builds(Margins, cosines, cosines, cosines),
    st.dictionaries(
        st.sampled_from(["tier1_easy", "tier3_adversarial", "killers"]), st.builds(TierScore, st.integers(1), fractions)
    ),
)
evaluations = st.lists(
    st.none() | st.tuples(scores, scores, st.none() | fractions, st.integers(0, 99)), min_size=9, max_size=9
)


def numbers_in(value: Any) -> Iterator[float]:
    """Every number in decoded JSON."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(inner)
    elif isinstance(value, int | float):
        yield value


Evaluation = tuple[ModelScores, ModelScores, float | None, int]
"""Scores of the head and of mean pooling, accuracy on the killers and their number."""


def results_with(found: list[Evaluation | None]) -> Results:
    """Results of the nine runs with these evaluations; None is a run that is still running."""
    runs = []
    for run, evaluation in zip(run_ids(SCALING, "full"), found, strict=True):
        result = RunResult(run.condition, run.seed, "finished" if evaluation else "running")
        if evaluation is not None:
            head, mean_pool, killer_top1, killers = evaluation
            result = replace(result, head=head, mean_pool=mean_pool, killer_top1=killer_top1, killer_set=killers)
        runs.append(result)
    conditions = tuple(
        condition_result(SCALING, name, [run for run in runs if run.condition == name], comparable=True)
        for name in ("A", "B", "C")
    )
    return Results("scaling", "full", "incomplete", True, tuple(runs), conditions)


@settings(deadline=None, max_examples=60)
@given(evaluations)
def test_every_figure_is_on_the_screen_in_the_text_and_in_the_json(
    found: list[Evaluation | None],
) -> None:
    results = results_with(found)
    screen, text = unwrapped(page_content(result_sections(results))[0].plain), unwrapped(as_text(results))
    in_json = set(numbers_in(as_printed(results)))
    rows = [row for section in result_sections(results) for row in (section.header, *section.rows)]
    for row in rows:
        numbers = [part for cell in row for part in cell if isinstance(part, Number)]
        in_order = unwrapped(" ".join(part.text for cell in row for part in cell))
        for page in (screen, text):
            assert in_order.replace(" ", "") in page.replace(" ", ""), in_order
        for number in numbers:
            assert {value for value in (number.value, number.sd) if value is not None} <= in_json


def unwrapped(text: str) -> str:
    """The page without its line breaks and padding."""
    return " ".join(text.split())


def test_the_chosen_head_of_each_run_is_told_with_its_step_epoch_and_score() -> None:
    results = make_results()
    text = as_text(results)
    by = "retrieval top-1 (bundles, wordnet) and coherence (wordnet)"
    lines = text[text.index("Head of each run, chosen on development data\n") :].splitlines()
    assert lines[1].split() == ["run", "at", "step", "epoch", "score", "draws", "of", "a", "tier3", "bundle"]
    assert [line.split() for line in lines[2:11]] == [[run.label, "150", "3.0", "60.0", "7.2"] for run in RUNS]
    assert lines[11] == f"  by {by}"
    assert as_printed(results)["runs"][0]["chosen"] == {
        "step": 150,
        "epoch": 3.0,
        "score": 0.6,
        "score_name": by,
    }


def test_runs_chosen_by_different_scores_say_each_by_which() -> None:
    first, *rest = make_results().runs
    assert first.chosen is not None
    other = replace(
        first, chosen=replace(first.chosen, score_name="top-1 on the development bundles"), tier3_exposures=None
    )
    text = as_text(replace(make_results(), runs=(other, *rest)))
    lines = text[text.index("Head of each run, chosen on development data\n") :].splitlines()
    assert lines[2].split()[-1] == "-" and lines[3] == "  by top-1 on the development bundles"
    assert len([line for line in lines if line.startswith("  by ")]) == 2
    assert "Head of each run" not in as_text(replace(make_results(), runs=(replace(first, chosen=None),)))


def test_margins_have_three_decimals_however_small_they_are() -> None:
    assert [Number(margin, "cosine", 9.7e-4).text for margin in (-0.017, 0.0004)] == ["-0.017 ± 0.001", "0.000 ± 0.001"]
    assert Number(None, "cosine").text == "-"
