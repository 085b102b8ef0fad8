"""The plan is kept once, its changes are told in words, and reading results again with more seeds is counted."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.special import ndtri  # type: ignore[import-untyped]

from console.results.analysis import plan as plan_module
from console.results.analysis.plan import (
    LOOKS,
    PLAN,
    level_after,
    note_look,
    plan_changes,
    plan_of,
    plan_status,
    read_plan,
    write_plan,
)
from engine.contract.analysis_settings import ExpectedOutcome
from engine.contract.derived import AddedSeeds
from engine.contract.experiment import Experiment
from engine.contract.settings import RunId
from tests.console.results.scored_runs import Evaluation, Runs, scaling

AT = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return scaling()


def runs_of(experiment: Experiment, conditions: str = "ABC", seeds: Sequence[int] | None = None) -> Runs:
    evaluation = Evaluation(lemmas=2)
    ids = [RunId(name, seed) for name in conditions for seed in (experiment.seeds if seeds is None else seeds)]
    return Runs(evaluation, {run: [1] * (2 * evaluation.items) for run in ids})


def test_the_plan_has_what_is_compared_and_judged_and_its_fingerprint_follows_from_that(experiment: Experiment) -> None:
    plan = plan_of(experiment, "full")
    assert (plan.conditions, plan.seeds) == (("A", "B", "C"), (42, 123, 456))
    assert plan.comparisons == (("B", "A"), ("C", "B")) and plan.metric == "retrieval_top1"
    assert plan.fingerprint() == plan_of(experiment, "full").fingerprint()
    others = [
        replace(experiment, gates=replace(experiment.gates, retrieval_top1=0.31)),
        replace(experiment, analysis=replace(experiment.analysis, margin_points=1.0)),
        replace(experiment, outcomes={}),
        replace(experiment, seeds=(42,)),
    ]
    assert len({plan_of(one, "full").fingerprint() for one in [experiment, *others]}) == 5


def test_added_seeds_are_no_part_of_the_plan(experiment: Experiment) -> None:
    added = AddedSeeds((789,), "to settle B - A", "2026-11-27T08:00:00Z", ("full",))
    assert plan_of(replace(experiment, added_seeds=(added,)), "full") == plan_of(experiment, "full")


def test_the_plan_is_written_once_and_never_replaced(experiment: Experiment, tmp_path: Path) -> None:
    plan = plan_of(experiment, "full")
    assert write_plan(tmp_path / "scaling", plan, AT)
    content = (tmp_path / "scaling" / PLAN).read_bytes()
    assert json.loads(content)["fingerprint"] == plan.fingerprint()
    assert not write_plan(tmp_path / "scaling", replace(plan, margin_points=9.0), AT)
    assert (tmp_path / "scaling" / PLAN).read_bytes() == content
    assert [one.name for one in (tmp_path / "scaling").iterdir()] == [PLAN], "no temporary file is left"
    file, problem = read_plan(tmp_path / "scaling")
    assert file is not None and file.plan == plan and problem == "" and file.written_at == AT.isoformat()


def test_a_plan_that_another_process_writes_meanwhile_is_kept(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(experiment, "full")
    link = os.link

    def late(source: Path, target: Path) -> None:
        monkeypatch.undo()
        write_plan(tmp_path / "other", replace(plan, margin_points=9.0), AT)
        (tmp_path / "other" / PLAN).rename(tmp_path / PLAN)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert not write_plan(tmp_path, plan, AT)
    file, _ = read_plan(tmp_path)
    assert file is not None and file.plan.margin_points == 9.0


def test_a_plan_written_after_runs_says_so(experiment: Experiment, tmp_path: Path) -> None:
    (tmp_path / "A_seed42").mkdir()
    (tmp_path / "A_seed42" / "state.json").write_text("{}")
    write_plan(tmp_path, plan_of(experiment, "full"), AT)
    status, _ = plan_status(tmp_path, experiment, runs_of(experiment).results(experiment))
    assert status.notes == ("the plan was written when 1 run had been launched already",) and status.changes == ()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"plan": {}}'])
def test_a_plan_that_cannot_be_read_is_said_and_nothing_fails(
    experiment: Experiment, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / PLAN).write_bytes(content)
    status, planned = plan_status(tmp_path, experiment, runs_of(experiment).results(experiment))
    assert planned is None and status.fingerprint == "" and "cannot be read" in status.notes[0]


def test_a_plan_that_was_altered_is_said_to_be(experiment: Experiment, tmp_path: Path) -> None:
    write_plan(tmp_path, plan_of(experiment, "full"), AT)
    path = tmp_path / PLAN
    path.write_text(path.read_text().replace('"margin_points": 2.0', '"margin_points": 3.0'))
    status, _ = plan_status(tmp_path, experiment, runs_of(experiment).results(experiment))
    assert (
        "altered after it was written" in status.notes[0] and "the margin in points was 3.0, now 2.0" in status.changes
    )


def test_changes_since_the_first_launch_are_told_in_words(experiment: Experiment) -> None:
    planned = plan_of(experiment, "full")
    assert plan_changes(planned, planned) == []
    present = replace(
        planned,
        gates=replace(planned.gates, retrieval_top1=0.25),
        conditions=("A", "B", "D"),
        seeds=(42, 123, 456, 789),
        comparisons=(("B", "A"), ("D", "A")),
        margin_points=3.0,
        level=0.1,
        must_not_regress=("tier1_easy",),
        outcomes={**planned.outcomes, "B": ExpectedOutcome(over="A", retrieval_top1=1.0)},
    )
    assert plan_changes(planned, present) == [
        "gate top-1 was 30, now 25",
        "condition D was added",
        "condition C was removed",
        "seed 789 was added",
        "comparison D - A was added",
        "comparison C - B was removed",
        "what must not regress: coherence_accuracy was removed",
        "the margin in points was 2.0, now 3.0",
        "the level was 0.05, now 0.1",
        "the expected outcome of B was changed",
    ]


def test_reading_the_same_runs_again_is_no_further_look_and_more_seeds_are(
    experiment: Experiment, tmp_path: Path
) -> None:
    results = runs_of(experiment).results(experiment)
    for _ in range(2):
        status, _ = plan_status(tmp_path, experiment, results)
        assert (status.looks, status.level) == (1, 0.05)
    more = replace(experiment, seeds=(*experiment.seeds, 789))
    status, _ = plan_status(tmp_path, more, runs_of(more).results(more))
    assert (status.looks, status.level) == (2, 0.025)
    assert "results were read with 2 sets of runs: 0.05 became 0.025" in status.notes
    status, _ = plan_status(tmp_path, experiment, results)
    assert status.looks == 2, "results that were read cannot be unread"
    assert len((tmp_path / LOOKS).read_bytes().splitlines()) == 2


def test_results_of_incomplete_runs_are_no_look_but_count_after_one(experiment: Experiment, tmp_path: Path) -> None:
    partial = runs_of(experiment, "AB").results(experiment)
    assert plan_status(tmp_path, experiment, partial)[0].looks == 1 and not (tmp_path / LOOKS).exists()
    plan_status(tmp_path, experiment, runs_of(experiment).results(experiment))
    more = replace(experiment, seeds=(*experiment.seeds, 789))
    halfway = runs_of(experiment)
    halfway.ranks[RunId("A", 789)] = halfway.ranks[RunId("A", 42)]
    assert plan_status(tmp_path, more, halfway.results(more))[0].looks == 2
    assert len((tmp_path / LOOKS).read_bytes().splitlines()) == 1


def test_a_condition_that_is_not_compared_by_plan_is_no_further_look(experiment: Experiment, tmp_path: Path) -> None:
    only_two = replace(experiment, analysis=replace(experiment.analysis, comparisons=(("B", "A"),)))
    for conditions in ("AB", "ABC"):
        assert plan_status(tmp_path, only_two, runs_of(experiment, conditions).results(only_two))[0].looks == 1


def test_a_look_that_cannot_be_written_counts_in_this_process_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "_unwritten_looks", {})
    folder = tmp_path / "missing"  # a folder without write permission stops nobody who is root
    looks, problem = note_look(folder, ("A_seed42",), complete=True)
    assert looks == 1 and "looks.jsonl cannot be written" in problem and "in this process only" in problem
    assert note_look(folder, ("A_seed42", "A_seed123"), complete=True)[0] == 2
    folder.mkdir()
    assert note_look(folder, ("A_seed42",), complete=True) == (2, "")
    assert len((folder / LOOKS).read_bytes().splitlines()) == 1


@pytest.mark.parametrize(
    ("seeds", "percent", "undivided"),
    [((3,), 5.0, 5.0), ((3, 6), 6.4, 8.3), ((3, 6, 9), 7.1, 10.7), (tuple(range(3, 33, 3)), 8.6, 19.3)],
)
def test_how_often_results_that_are_read_again_find_what_is_not_there(
    seeds: tuple[int, ...], percent: float, undivided: float
) -> None:
    """The figures of docs/statistics.md: any of several looks, at the mean of all seeds so far, rejects."""
    draws = np.random.default_rng(1).normal(size=(200_000, max(seeds)))
    rejected, at_full_level = np.zeros((2, len(draws)), dtype=bool)
    for looks, count in enumerate(seeds, start=1):
        mean = draws[:, :count].sum(axis=1) / np.sqrt(count)
        rejected |= np.abs(mean) > ndtri(1 - level_after(looks, 0.05) / 2)
        at_full_level |= np.abs(mean) > ndtri(0.975)
    assert 100 * rejected.mean() == pytest.approx(percent, abs=0.2)  # three standard errors
    assert 100 * at_full_level.mean() == pytest.approx(undivided, abs=0.3)


def test_lines_of_the_looks_that_are_none_are_left_out(tmp_path: Path) -> None:
    note_look(tmp_path, ("A_seed42",), complete=True)
    with open(tmp_path / LOOKS, "ab") as file:
        file.write(b'{"runs": ["A_se')
    assert note_look(tmp_path, ("A_seed42",), complete=True) == (1, "")
