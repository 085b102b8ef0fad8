"""The page of results says what is known, and never more."""

from __future__ import annotations

from msgspec.structs import replace

from console.results.summary import Results
from console.ui.results.text import nothing_yet, results_text
from engine.contract.settings import RunId
from tests.console.ui.fake_session import SCALING, FakeSession
from tests.console.ui.scenes import finished, results_of


def results(*, coherence: float = 0.83) -> Results:
    session = FakeSession()
    session.show(*(finished(run, coherence=coherence) for run in session.snapshot.runs))
    return results_of(SCALING, session.snapshot)


def test_all_passed() -> None:
    text = results_text(results()).plain
    assert text.startswith("Verdict: PASS   9 of 9 runs evaluated")
    assert "FAIL" not in text
    assert "What to do" not in text


def test_a_failed_ship_blocker_is_named_and_followed_by_its_steps() -> None:
    text = results_text(results(coherence=0.5)).plain
    assert text.startswith("Verdict: FAIL")
    assert "FAIL 50.0" in text
    assert "C fails a ship blocker. What to do, in this order\n1. Reduce curriculum oversampling" in text


def test_one_seed_has_a_mean_and_no_deviation() -> None:
    session = FakeSession()
    session.show(finished(RunId("A", 42), top1=0.5))
    text = results_text(results_of(SCALING, session.snapshot)).plain
    row = next(line for line in text.splitlines() if line.startswith("A ") and "1/3" in line)
    assert "50.0" in row
    assert "±" not in row
    assert "INCOMPLETE" in text


def test_scores_on_different_data_are_warned_of() -> None:
    text = results_text(replace(results(), comparable=False)).plain
    assert "must not be compared" in text


def test_the_table_fits_eighty_columns() -> None:
    lines = results_text(results()).plain.splitlines()
    table = [line for line in lines if "±" in line or line.startswith(("condition", "  mean pooling"))]
    assert table
    assert max(map(len, table)) <= 78


def test_a_run_of_other_settings_is_shown_marked_and_left_out_of_the_means() -> None:
    found = results()
    first, *rest = found.runs
    text = results_text(replace(found, runs=(replace(first, other_settings="training.epochs 10, now 5"), *rest))).plain
    assert "8 of 9 runs evaluated" in text
    assert "! 1 run at home of other settings than the experiment has now: left out of the means." in text
    seed = next(at for at, line in enumerate(text.splitlines()) if line.startswith("    42 "))
    assert "top-1 46.1" in text.splitlines()[seed]
    assert text.splitlines()[seed + 1].strip() == "! other settings, left out: training.epochs 10, now 5"
    assert not nothing_yet(replace(found, runs=(replace(first, other_settings="seed 1, now 2"),)))


def test_what_was_never_launched_is_named_so() -> None:
    session = FakeSession()
    session.show(finished(RunId("A", 42)))
    lines = results_text(results_of(SCALING, session.snapshot)).plain.splitlines()
    assert sum(line.endswith("not in: not launched") for line in lines) == 8
