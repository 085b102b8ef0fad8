"""The decision on whole experiments: usual, odd and hostile ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from console.results.aggregate import aggregate
from console.results.analysis.analyze import analyze
from console.results.analysis.plan import plan_of
from console.results.analysis.records import Analysis, PlanStatus
from console.results.experiment_report import report_of
from console.results.load import load
from engine.contract.derived import Derivation
from engine.contract.experiment import Experiment
from engine.contract.settings import RunId, run_ids
from tests.console.results.capsules import row, write_capsule
from tests.console.results.scored_runs import Evaluation, Runs, scaling, simulated

DRAWS = 400
SAME = {"A": (0.5, 0.7), "B": (0.5, 0.7), "C": (0.5, 0.7)}


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return scaling()


def analysis_of(experiment: Experiment, runs: Runs, status: PlanStatus | None = None) -> Analysis:
    results = runs.results(experiment)
    return analyze(experiment, runs.loaded(experiment), results, status, draws=DRAWS)


@pytest.fixture(scope="module")
def same(experiment: Experiment) -> Runs:
    return simulated(experiment, SAME, Evaluation(lemmas=40))


def test_the_first_sentence_says_what_fails_and_what_does_not_differ(experiment: Experiment, same: Runs) -> None:
    found = analysis_of(experiment, same)
    assert found.verdict == "do not ship" and found.shippable == ()
    assert found.summary.startswith("Do not ship. Coherence fails in every condition (")
    assert "no condition differs from another beyond noise" in found.summary
    assert len(found.gates) == 9 and {one.interval is not None for one in found.gates} == {True}


def test_an_experiment_without_results_has_nothing_to_decide(experiment: Experiment) -> None:
    found = analysis_of(experiment, Runs())
    assert (found.verdict, found.summary) == ("incomplete", "Nothing to decide yet: no run is evaluated.")
    assert {one.outcome for one in found.gates} == {"MISSING"}
    assert {one.reading for one in found.comparisons} == {"missing"} == {one.reading for one in found.outcomes}


def test_runs_of_other_evaluations_are_not_compared_even_under_the_same_fingerprint(experiment: Experiment) -> None:
    for name in ("e", "other"):
        runs = simulated(experiment, {"A": (0.5, 0.7), "B": (0.5, 0.7)}, Evaluation(lemmas=10))
        other = Evaluation(lemmas=11, name=name)
        runs.evaluations[RunId("B", 42)] = other
        runs.ranks[RunId("B", 42)] = [1] * (2 * other.items)
        found = analysis_of(experiment, runs)
        assert found.verdict == "incomplete" and "different evaluation data" in found.summary
        assert {one.outcome for one in found.gates} == {"MISSING"}
        assert {one.reading for one in found.comparisons} == {"missing"}


def test_while_a_condition_is_missing_there_is_no_verdict_but_what_is_known(experiment: Experiment) -> None:
    found = analysis_of(experiment, simulated(experiment, {"A": (0.5, 0.6), "B": (0.5, 0.6)}, Evaluation(lemmas=40)))
    assert found.verdict == "incomplete"
    assert found.summary.startswith("Incomplete. 6 of 9 runs are evaluated. So far: coherence fails in A and B (")
    assert all(one.reading == "missing" for one in found.comparisons if "C" in (one.ours, one.theirs))


def test_one_seed_says_nothing_about_others_and_the_warning_says_so(experiment: Experiment) -> None:
    alone = replace(experiment, seeds=(42,))
    found = analysis_of(alone, simulated(alone, {"A": (0.9, 0.97), "B": (0.9, 0.97), "C": (0.9, 0.97)}))
    assert any("one seed says nothing about other seeds: intervals of A, B, C" in text for text in found.warnings)
    assert all(one.interval is not None and one.interval.seeds == 1 for one in found.gates)


def test_every_gate_passed_by_the_lower_bound_ships_the_control(experiment: Experiment) -> None:
    good = {"A": (0.7, 0.95), "B": (0.7, 0.95), "C": (0.7, 0.6)}
    found = analysis_of(experiment, simulated(experiment, good, Evaluation(lemmas=60)))
    assert found.verdict == "ship" and found.shippable == ("A", "B")
    assert found.summary.startswith("Ship A: it passes every ship blocker.") and "C fails coherence" in found.summary


def test_the_p_of_a_pass_fits_the_interval_that_decides(experiment: Experiment, same: Runs) -> None:
    found = analysis_of(experiment, same)
    decided = {one.outcome: one for one in found.gates if one.interval is not None and one.pass_p is not None}
    assert {"PASS", "FAIL"} <= {*decided}
    for one in found.gates:
        assert one.pass_p is not None
        assert (one.pass_p < 0.025) == (one.outcome == "PASS")


def test_identical_runs_are_said_to_be_one_observation(experiment: Experiment) -> None:
    runs = simulated(experiment, SAME, Evaluation(lemmas=20))
    runs.ranks[RunId("B", 123)] = runs.ranks[RunId("B", 42)]
    found = analysis_of(experiment, runs)
    assert "runs with identical items are one observation: B/123 = B/42" in found.warnings
    assert [one.interval.seeds for one in found.gates if one.condition == "B" and one.interval] == [2, 2, 2]
    runs.ranks[RunId("B", 456)] = runs.ranks[RunId("B", 42)]
    found = analysis_of(experiment, runs)
    assert any("one seed says nothing about other seeds: intervals of B are" in text for text in found.warnings)


def test_more_looks_widen_every_interval_that_decides(experiment: Experiment, same: Runs) -> None:
    once = analysis_of(experiment, same)
    twice = analysis_of(experiment, same, PlanStatus(looks=2, level=0.025))
    gates = (once.gates[0].interval, twice.gates[0].interval)
    differences = (once.comparisons[0].recipe, twice.comparisons[0].recipe)
    for before, after in (gates, differences):
        assert before is not None and after is not None
        assert (before.level, after.level) == (0.95, 0.975)
        assert before.low is not None and after.low is not None and after.low < before.low


def test_a_comparison_that_was_not_planned_is_exploratory(experiment: Experiment, same: Runs) -> None:
    planned = plan_of(experiment, "full")
    present = replace(experiment, analysis=replace(experiment.analysis, comparisons=(("C", "A"), ("B", "A"))))
    found = analyze(present, same.loaded(present), same.results(present), PlanStatus("f"), planned, DRAWS)
    confirmatory = [(one.ours, one.theirs) for one in found.comparisons if one.role == "confirmatory"]
    assert confirmatory == [("B", "A")]
    assert any((one.ours, one.theirs, one.metric) == ("C", "A", "retrieval_top1") for one in found.comparisons)


def test_a_derived_condition_is_judged_beside_the_others_but_decides_nothing(experiment: Experiment) -> None:
    derived = Derivation("B", "less oversampling", "2026-11-27T08:00:00Z", ("full",))
    conditions = {**experiment.conditions, "B.2": replace(experiment.conditions["B"], derived=derived)}
    more = replace(experiment, conditions=conditions)
    runs = simulated(more, {**SAME, "B.2": (0.8, 0.97)}, Evaluation(lemmas=40))
    found = analysis_of(more, runs)
    assert found.verdict == "do not ship" and found.shippable == ()
    assert "B.2 passes every ship blocker, but was made after results were read" in found.summary
    assert {one.role for one in found.comparisons if "B.2" in (one.ours, one.theirs)} == {"exploratory"}
    del runs.ranks[RunId("B.2", 42)]
    assert analysis_of(more, runs).verdict == "do not ship", "a derived condition that still runs holds up no verdict"


def test_added_seeds_that_only_some_compared_conditions_have_are_a_warning(experiment: Experiment) -> None:
    planned = plan_of(experiment, "full")
    more = replace(experiment, seeds=(*experiment.seeds, 789))
    runs = simulated(more, SAME, Evaluation(lemmas=10))
    del runs.ranks[RunId("A", 789)]
    found = analyze(more, runs.loaded(more), runs.results(more), None, planned, DRAWS)
    (warning,) = (text for text in found.warnings if "added seeds" in text)
    assert warning == "A lacks added seeds that others have (789): new seeds go to every compared condition"


def test_the_fingerprint_of_results_is_of_items_settings_and_plan(experiment: Experiment) -> None:
    runs = simulated(experiment, {"A": (0.5, 0.7)}, Evaluation(lemmas=5))
    first = analysis_of(experiment, runs).results_fingerprint
    assert first == analysis_of(experiment, runs).results_fingerprint and len(first) == 64
    changed = [
        replace(experiment, gates=replace(experiment.gates, retrieval_top1=0.31)),
        replace(experiment, analysis=replace(experiment.analysis, margin_points=1.0)),
    ]
    prints = {analysis_of(one, runs).results_fingerprint for one in changed}
    first_rank, *others = runs.ranks[RunId("A", 42)]
    runs.ranks[RunId("A", 42)] = [first_rank + 1, *others]
    prints.add(analysis_of(experiment, runs).results_fingerprint)
    del runs.ranks[RunId("A", 123)]
    prints.add(analysis_of(experiment, runs).results_fingerprint)
    assert len(prints) == 4 and first not in prints


def test_the_report_notes_that_results_were_read(experiment: Experiment, tmp_path: Path) -> None:
    for run in run_ids(experiment, "full"):
        items = [row(f"r{at}", 1 + (at + run.seed + ord(run.condition)) % 2) for at in range(5)]
        write_capsule(tmp_path, experiment, run, [*items, row("c", 1, kind="coherence")])
    loaded = load(tmp_path, run_ids(experiment, "full"))
    report = report_of(experiment, loaded, aggregate(experiment, "full", loaded), tmp_path)
    assert report.analysis.plan.looks == 1 and (tmp_path / "looks.jsonl").exists()
    assert "no plan was kept at the first launch" in report.analysis.plan.notes[0]
    assert report.analysis.plan.notes[0] in report.analysis.warnings
