"""Scores of a run by item: one order for all runs, right positions of each metric, baselines, digests."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from console.results.run_scores import run_scores
from console.results.seed_scores import baseline_scores, mean_pool_scores, metric_items, metric_names, seed_scores
from engine.contract.experiment import Experiment
from engine.contract.settings import RunId
from tests.console.results.scored_runs import Evaluation, Runs, metrics_of, scaling

A42, A123 = RunId("A", 42), RunId("A", 123)


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return scaling()


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(lemmas=2, each=3, killers=(1, 5))


def test_a_metric_has_its_items_and_their_lemmas(experiment: Experiment, evaluation: Evaluation) -> None:
    ranks = [1, 2, 4, 1, 1, 3, 1, 2, 1, 2, 1, 2]
    loaded = Runs(evaluation, {A42: ranks}).loaded(experiment)
    found = {name: seed_scores(loaded, [A42], name) for name in metric_names(loaded, A42)}
    assert found["retrieval_top1"].values.tolist() == [[1, 0, 0, 1, 1, 0]]
    assert found["retrieval_top3"].values.tolist() == [[1, 1, 0, 1, 1, 1]]
    assert found["coherence_accuracy"].values.tolist() == [[1, 0, 1, 0, 1, 0]]
    assert found["margin"].values.tolist() == [pytest.approx([0.1, -0.1, -0.2, 0.1, 0.1, -0.15])]
    assert found["tier1_easy"].values.tolist() == [[1, 0, 1, 1]] and found["tier2_robust"].values.tolist() == [[0, 0]]
    assert found["killers"].values.tolist() == [[0, 0]] and found["killers"].lemmas.tolist() == [0, 1]
    assert found["retrieval_top1"].lemmas.tolist() == [0, 0, 0, 1, 1, 1]
    assert metric_items(loaded, A42, "tier2_robust")["item_id"].to_list() == ["00002", "00005"]


def test_runs_whose_files_have_another_order_are_put_in_the_same(experiment: Experiment) -> None:
    evaluation = Evaluation(lemmas=4)
    ranks = list(range(1, 1 + 2 * evaluation.items))
    table = evaluation.table(ranks)
    turned = table.sample(fraction=1.0, shuffle=True, seed=3)
    ours, theirs = run_scores(table, metrics_of(A42)), run_scores(turned, metrics_of(A42))
    assert turned["item_id"].to_list() != table["item_id"].to_list()
    assert ours.models["head"].ranks.tolist() == theirs.models["head"].ranks.tolist()
    assert ours.content == theirs.content and ours.evaluation == theirs.evaluation


def test_baselines_are_of_the_same_items(experiment: Experiment, evaluation: Evaluation) -> None:
    loaded = Runs(evaluation, {A42: [1] * 12}).loaded(experiment)
    random = baseline_scores(loaded, A42, "random", "retrieval_top3")
    assert random.is_fixed and random.values.tolist() == [[pytest.approx(3 / 5)] * 6]
    assert baseline_scores(loaded, A42, "random", "coherence_accuracy").values[0, 0] == pytest.approx(1 / 5)
    assert baseline_scores(loaded, A42, "word_overlap", "retrieval_top1").values.sum() == 0
    assert baseline_scores(loaded, A42, "mean_pool", "retrieval_top1").values.tolist() == [[1, 0, 1, 0, 1, 0]]
    with pytest.raises(LookupError, match="no margin of random"):
        baseline_scores(loaded, A42, "random", "margin")


def test_the_chance_of_a_guess_is_that_of_drawing_without_replacement() -> None:
    evaluation = Evaluation(lemmas=1, each=1, candidates=6)
    right = pl.Series([[True, True, False, False, False, False]] * 2)
    found = run_scores(evaluation.table([1, 1]).with_columns(right=right), metrics_of(A42))
    assert found.chance_top1[0] == pytest.approx(2 / 6)
    assert found.chance_top3[0] == pytest.approx(1 - math.comb(4, 3) / math.comb(6, 3))


def test_mean_pooling_is_fixed_unless_it_differs_between_runs(experiment: Experiment, evaluation: Evaluation) -> None:
    runs = Runs(evaluation, {A42: [1] * 12, A123: [2] * 12})
    assert mean_pool_scores(runs.loaded(experiment), [A42, A123], "retrieval_top1").is_fixed
    runs.evaluations[A123] = Evaluation(lemmas=2, each=3, pool=[1] * 12)
    found = mean_pool_scores(runs.loaded(experiment), [A42, A123], "retrieval_top1")
    assert not found.is_fixed and found.seeds == (42, 123)


def test_runs_with_other_items_are_not_put_together(experiment: Experiment, evaluation: Evaluation) -> None:
    runs = Runs(evaluation, {A42: [1] * 12, A123: [1] * 6}, {A123: Evaluation(lemmas=1)})
    with pytest.raises(ValueError, match="different items"):
        seed_scores(runs.loaded(experiment), [A42, A123], "retrieval_top1")


def test_a_run_without_evaluation_and_a_metric_without_items_are_named(
    experiment: Experiment, evaluation: Evaluation
) -> None:
    loaded = Runs(evaluation, {A42: [1] * 12}).loaded(experiment)
    with pytest.raises(LookupError, match="A/123 was not evaluated"):
        seed_scores(loaded, [A42, A123], "retrieval_top1")
    with pytest.raises(LookupError, match="no tier3_adversarial"):
        seed_scores(loaded, [A42], "tier3_adversarial")


def test_a_tier_that_is_called_like_a_metric_does_not_replace_it() -> None:
    table = Evaluation(lemmas=2, tiers=("retrieval_top1", "killers", "\x1b[31mred")).table([1] * 12)
    positions = run_scores(table, metrics_of(A42)).positions
    assert len(positions["retrieval_top1"]) == 6 and positions["killers"].size == 0
    assert all("\x1b" not in name for name in positions)


def test_frozen_killers_of_older_items_are_inferred_only_where_the_metrics_agree() -> None:
    table = Evaluation(lemmas=2, pool=[4, 1, 1, 1, 5, 2] + [1] * 6).table([1] + [2] * 11)
    older = table.with_columns(killer=pl.lit(None, pl.String))
    metrics = replace(metrics_of(A42), killer_set=2, killer_top1=0.5)
    assert run_scores(older, metrics).positions["killers"].tolist() == [6, 10]  # after six coherence steps
    for wrong in (replace(metrics, killer_set=3), replace(metrics, killer_top1=1.0), replace(metrics, killer_set=0)):
        assert "killers" not in run_scores(older, wrong).positions


def test_digests_tell_what_changed() -> None:
    evaluation = Evaluation(lemmas=2)
    first = run_scores(evaluation.table([1] * 12), metrics_of(A42))
    other_head = run_scores(evaluation.table([1] * 11 + [2]), metrics_of(A42))
    other_pool = run_scores(Evaluation(lemmas=2, pool=[1] * 12).table([1] * 12), metrics_of(A42))
    other_items = run_scores(Evaluation(lemmas=2, tiers=("t",)).table([1] * 12), metrics_of(A42))
    assert other_head.evaluation == first.evaluation and other_head.outcome != first.outcome
    assert other_pool.outcome == first.outcome and other_pool.content != first.content
    assert other_items.evaluation != first.evaluation
    assert len({one.content for one in (first, other_head, other_pool, other_items)}) == 4


def test_items_without_saved_baselines_have_no_word_overlap() -> None:
    table = Evaluation(lemmas=1).table([1] * 6).with_columns(baseline_ranks=pl.lit([], pl.List(pl.Int64)))
    found = run_scores(table, metrics_of(A42))
    assert set(found.models) == {"head", "mean_pool"} and found.values("word_overlap", "retrieval_top1") is None
    assert isinstance(found.lemmas, np.ndarray)
