"""The page of results says what is known, and never more."""

from __future__ import annotations

from msgspec.structs import replace

from console.results.summary import Results
from console.ui.results_words import results_words
from engine.contract.experiment import RunId
from tests.console.ui.fake_session import SCALING, FakeSession
from tests.console.ui.scenes import finished, results_of


def results(*, coherence: float = 0.83) -> Results:
    session = FakeSession()
    session.show(*(finished(run, coherence=coherence) for run in session.snapshot.runs))
    return results_of(SCALING, session.snapshot)


def test_all_passed() -> None:
    text = results_words(results()).plain
    assert text.startswith("Verdict: PASS   9 of 9 runs evaluated")
    assert "FAIL" not in text
    assert "What to do" not in text


def test_a_failed_ship_blocker_is_named_and_followed_by_its_steps() -> None:
    text = results_words(results(coherence=0.5)).plain
    assert text.startswith("Verdict: FAIL")
    assert "FAIL 50.0" in text
    assert "C fails a ship blocker. What to do, in this order\n1. Reduce curriculum oversampling" in text


def test_one_seed_has_a_mean_and_no_deviation() -> None:
    session = FakeSession()
    session.show(finished(RunId("A", 42), top1=0.5))
    text = results_words(results_of(SCALING, session.snapshot)).plain
    row = next(line for line in text.splitlines() if line.startswith("A ") and "1/3" in line)
    assert "50.0" in row
    assert "±" not in row
    assert "INCOMPLETE" in text


def test_scores_on_different_data_are_warned_of() -> None:
    text = results_words(replace(results(), comparable=False)).plain
    assert "must not be compared" in text


def test_the_table_fits_eighty_columns() -> None:
    lines = results_words(results()).plain.splitlines()
    table = [line for line in lines if "±" in line or line.startswith(("condition", "  mean pooling"))]
    assert table
    assert max(map(len, table)) <= 78
