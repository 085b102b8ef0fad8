"""Comparisons: what is asked, how it is read, and that corrections are over the right ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from console.results.analysis.comparisons import Question, compare, outcome_reading, outcome_results, questions
from console.results.analysis.condition_scores import ConditionScores, mean_pool_of
from console.results.analysis.gate_results import gate_results
from console.results.analysis.records import MEAN_POOL, Comparison
from console.results.records import counted_runs
from console.results.statistics.estimates import Interval
from console.results.statistics.multiplicity import benjamini_hochberg, holm
from engine.contract.analysis_settings import AnalysisSettings, ExpectedOutcome
from engine.contract.experiment import Experiment, Gates
from engine.contract.settings import RunId
from tests.console.results.scored_runs import Evaluation, Runs, scaling, simulated

PAIRS = (("B", "A"), ("C", "B"))
SETTINGS = AnalysisSettings()
TOP1, COHERENCE = "retrieval_top1", "coherence_accuracy"
DRAWS = 400


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return scaling()


def scores_of_runs(experiment: Experiment, runs: Runs) -> ConditionScores:
    return ConditionScores(runs.loaded(experiment), counted_runs(runs.results(experiment)), DRAWS)


def answers(
    experiment: Experiment, runs: Runs, margin_points: float = 2.0, role: str | None = None
) -> dict[Question, Comparison]:
    """The answers to all questions, or to those of ``role``."""
    scores = scores_of_runs(experiment, runs)
    settings = AnalysisSettings(margin_points=margin_points)
    asked = [one for one in questions(settings, PAIRS, ("A", "B", "C"), scores.metrics) if role in (None, one.role)]
    return dict(zip(asked, compare(scores, asked, settings, 0.05), strict=True))


@pytest.fixture(scope="module")
def better(experiment: Experiment) -> dict[Question, Comparison]:
    """B is far better than A on retrieval, C is as B; coherence of C is far worse."""
    shares = {"A": (0.4, 0.8), "B": (0.7, 0.8), "C": (0.7, 0.5)}
    return answers(experiment, simulated(experiment, shares, Evaluation(lemmas=60)))


def test_the_plan_is_asked_first_and_everything_else_is_exploratory() -> None:
    asked = questions(SETTINGS, PAIRS, ("A", "B", "C"), (TOP1, COHERENCE, "tier1_easy", "killers"))
    assert asked[:2] == [Question("B", "A", TOP1, "confirmatory"), Question("C", "B", TOP1, "confirmatory")]
    assert asked[2:6] == [
        Question(ours, "A", metric, "non-inferiority") for metric in ("tier1_easy", COHERENCE) for ours in ("B", "C")
    ]
    rest = asked[6:]
    assert {one.role for one in rest} == {"exploratory"}
    assert Question("C", "A", TOP1, "exploratory") in rest and Question("C", "B", COHERENCE, "exploratory") in rest
    pairs = [(frozenset((one.ours, one.theirs)), one.metric) for one in asked]
    assert len(pairs) == len(set(pairs)), "nothing is asked twice"


def test_mean_pooling_is_not_held_against_tiers_and_killers_which_are_chosen_by_it() -> None:
    asked = questions(SETTINGS, PAIRS, ("A", "B"), (TOP1, "tier1_easy", "killers"))
    assert [one for one in asked if one.theirs == MEAN_POOL] == [
        Question(one, MEAN_POOL, TOP1, "exploratory") for one in ("A", "B")
    ]


def test_a_derived_condition_is_compared_but_nothing_about_it_is_confirmatory() -> None:
    asked = questions(SETTINGS, PAIRS[:1], ("A", "B", "B.2"), (TOP1, COHERENCE), derived={"B.2": "B"})
    of_derived = [one for one in asked if "B.2" in (one.ours, one.theirs)]
    assert {one.role for one in of_derived} == {"exploratory"}
    assert {("B.2", "A"), ("B.2", "B")} <= {(one.ours, one.theirs) for one in of_derived}


def test_many_conditions_are_not_compared_all_with_all() -> None:
    names = tuple(f"X{at}" for at in range(100))
    pairs = tuple((ours, theirs) for theirs, ours in itertools.pairwise(names))
    asked = questions(SETTINGS, pairs, names, (TOP1, "retrieval_top3", COHERENCE, "margin", "tier1_easy", "killers"))
    assert len(asked) < 1300 and {one.metric for one in asked if one.role == "exploratory"} <= {
        TOP1,
        "retrieval_top3",
        COHERENCE,
    }


def test_of_many_conditions_a_derived_one_is_compared_with_its_parent_and_the_control() -> None:
    asked = questions(SETTINGS, PAIRS, ("A", "B", "C", "C.2", "C.3"), (TOP1,), derived={"C.2": "C", "C.3": "C.2"})
    of_derived = [
        (one.ours, one.theirs) for one in asked if "C.3" in (one.ours, one.theirs) and one.theirs != MEAN_POOL
    ]
    assert of_derived == [("C.3", "A"), ("C.3", "C.2")]


def test_a_true_effect_is_found_and_an_absent_one_is_not(better: dict[Question, Comparison]) -> None:
    first, second = (one for question, one in better.items() if question.role == "confirmatory")
    assert (first.reading, second.reading) == ("better", "not told apart")
    assert first.recipe is not None and first.recipe.low is not None and first.recipe.low > 0.1
    assert first.probability == 1.0 and first.models is not None and (first.models.p or 1) < 0.001
    assert first.paired_t is not None and first.paired_t.pairs == 3


def test_holm_is_over_the_two_confirmatory_ones_and_benjamini_hochberg_over_the_rest(
    better: dict[Question, Comparison],
) -> None:
    confirmatory = [one for question, one in better.items() if question.role == "confirmatory"]
    exploratory = [one for question, one in better.items() if question.role == "exploratory" and one.p is not None]
    assert [one.adjusted_p for one in confirmatory] == holm([one.p or 0 for one in confirmatory])
    assert {one.adjustment for one in confirmatory} == {"Holm over 2"}
    assert [one.adjusted_p for one in exploratory] == benjamini_hochberg([one.p or 0 for one in exploratory])
    tests = [one.paired_t for one in confirmatory if one.paired_t is not None]
    assert [one.holm_p for one in tests] == holm([one.p or 0 for one in tests])
    assert all(one.paired_t is None or one.paired_t.holm_p is None for one in exploratory)


def test_non_inferiority_is_shown_by_the_margin_and_a_regression_is_worse(
    experiment: Experiment, better: dict[Question, Comparison]
) -> None:
    found = {(one.ours, one.metric): one for question, one in better.items() if question.role == "non-inferiority"}
    assert found["C", COHERENCE].reading == "worse" and found["B", "tier1_easy"].reading == "not worse"
    assert found["B", COHERENCE].margin == 0.02
    runs = simulated(experiment, {"A": (0.5, 0.8), "B": (0.5, 0.8), "C": (0.5, 0.8)}, Evaluation(lemmas=30))
    wide = answers(experiment, runs, 30.0, "non-inferiority").values()
    assert {one.reading for one in wide} == {"not worse"}
    for one in wide:
        assert one.p is not None and one.recipe is not None and one.recipe.low is not None
        assert (one.p < 0.025) == (one.recipe.low > -0.3)
    narrow = answers(experiment, runs, 0.01, "non-inferiority").values()
    assert {one.reading for one in narrow} == {"undecided"}
    lowest = min((one.recipe.low, one.ours, one.metric) for one in wide if one.recipe and one.recipe.low is not None)
    for factor, reading in ((0.98, "undecided"), (1.02, "not worse")):
        again = answers(experiment, runs, -100 * lowest[0] * factor, "non-inferiority").values()
        assert [one.reading for one in again if (one.ours, one.metric) == lowest[1:]] == [reading]


def test_killers_have_a_mcnemar_test_of_the_majority_of_seeds(experiment: Experiment) -> None:
    evaluation = Evaluation(lemmas=6, killers=range(12))
    right, wrong = [1] * 12, [2] * 12
    rest = [1, 2] * ((2 * evaluation.items - 12) // 2)
    ranks = {"A": (wrong, wrong, right), "B": (right, right, wrong)}
    runs = Runs(
        evaluation,
        {
            RunId(name, seed): [*ranks[name][at], *np.roll(rest, at + 3 * (name == "B"))]
            for name in ranks
            for at, seed in enumerate(experiment.seeds)
        },
    )
    found = answers(experiment, runs)[Question("B", "A", "killers", "exploratory")]
    assert found.mcnemar is not None
    assert (found.mcnemar.ours_only, found.mcnemar.theirs_only, found.mcnemar.p) == (12, 0, 2 * 0.5**12)


def test_runs_with_identical_items_count_once_and_identical_conditions_have_no_difference(
    experiment: Experiment,
) -> None:
    runs = simulated(experiment, {"A": (0.5, 0.8)}, Evaluation(lemmas=20))
    runs.ranks[RunId("A", 123)] = runs.ranks[RunId("A", 42)]
    for seed in experiment.seeds:
        runs.ranks[RunId("B", seed)] = runs.ranks[RunId("A", seed)]
    scores = scores_of_runs(experiment, runs)
    own = scores.scores("A", TOP1)
    assert own is not None and own.seeds == (42, 456)
    assert scores.equal_runs("A") == ("A/123 = A/42",) and scores.equal_runs("B")[0] == "B/42 = A/42"
    found = answers(experiment, runs)[Question("B", "A", TOP1, "confirmatory")]
    assert found.reading == "identical" and found.identical_seeds[0] == "B/42 = A/42"
    assert found.recipe is not None and found.recipe.mean == 0.0


def test_a_missing_condition_is_missing_and_does_not_count_in_corrections(experiment: Experiment) -> None:
    found = answers(experiment, simulated(experiment, {"A": (0.4, 0.8), "B": (0.7, 0.8)}, Evaluation(lemmas=30)))
    assert found[Question("C", "B", TOP1, "confirmatory")].reading == "missing"
    assert found[Question("B", "A", TOP1, "confirmatory")].adjustment == "Holm over 1"


def test_expected_outcomes_are_met_missed_exceeded_or_undecided(experiment: Experiment) -> None:
    scores = scores_of_runs(
        experiment, simulated(experiment, {"A": (0.4, 0.8), "B": (0.7, 0.8)}, Evaluation(lemmas=60))
    )
    expected = [
        ("B", ExpectedOutcome(over="A", retrieval_top1=(2.0, 5.0))),
        ("B", ExpectedOutcome(over="A", retrieval_top1=10.0)),
        ("B", ExpectedOutcome(over="A", retrieval_top1=90.0)),
        ("B", ExpectedOutcome(over="A", retrieval_top1=30.0)),
        ("A", ExpectedOutcome(retrieval_top1=(10.0, 90.0))),
        ("C", ExpectedOutcome(over="A", retrieval_top1=10.0)),
    ]
    found = outcome_results(scores, expected, 0.05)
    assert [one.reading for one in found] == ["exceeded", "met", "missed", "undecided", "met", "missing"]
    assert (found[0].least, found[0].most, found[0].over, found[4].over) == (0.02, 0.05, "A", "")


@pytest.mark.parametrize(
    ("low", "high", "reading"),
    [
        (0.01, 0.09, "undecided"),
        (-0.02, 0.019, "missed"),
        (0.02, 0.04, "met"),
        (0.03, 0.09, "met"),
        (0.051, 0.09, "exceeded"),
        (None, None, "undecided"),
    ],
)
def test_an_expectation_of_two_to_five_points_is_read_by_the_interval(
    low: float | None, high: float | None, reading: str
) -> None:
    assert outcome_reading(Interval(0.04, low, high, 0.01, "t", 3, 9, 9), 0.02, 0.05) == reading


def test_gates_stand_beside_chance_word_overlap_mean_pooling_and_ceiling(experiment: Experiment) -> None:
    evaluation = Evaluation(lemmas=60, ceiling=0.75)
    scores = scores_of_runs(experiment, simulated(experiment, {"A": (0.5, 0.6)}, evaluation))
    gates = Gates(retrieval_top1=0.15, retrieval_top3=0.6, coherence_accuracy=0.8)
    found = {one.gate: one for one in gate_results(scores, ("A", "B"), gates, 0.05) if one.condition == "A"}
    top1, top3, coherence = (found[name] for name in (TOP1, "retrieval_top3", COHERENCE))
    assert top1.chance == pytest.approx(0.2) and top3.chance == pytest.approx(0.6)
    assert top1.word_overlap == 0.0 and top3.word_overlap == 1.0
    assert top1.mean_pool == 0.5 and top1.ceiling is None and coherence.ceiling == 0.75
    assert any("needs 15, which guessing reaches (20.0)" in text for text in top1.warnings)
    assert any("needs 80, above the 75.0 that this evaluation allows" in text for text in coherence.warnings)
    assert (top1.outcome, coherence.outcome) == ("PASS", "FAIL") and top1.point_passed and not coherence.point_passed
    assert [one.outcome for one in gate_results(scores, ("B",), gates, 0.05)] == ["MISSING"] * 3


def test_a_failed_gate_is_holm_adjusted_over_the_conditions(experiment: Experiment) -> None:
    scores = scores_of_runs(
        experiment, simulated(experiment, {"A": (0.5, 0.7), "B": (0.5, 0.75), "C": (0.5, 0.6)}, Evaluation(lemmas=30))
    )
    found = gate_results(scores, ("A", "B", "C"), experiment.gates, 0.05)
    raw = [scores.p(name, COHERENCE, 0.8, "less") or 0 for name in "ABC"]
    assert [one.fail_p for one in found if one.gate == COHERENCE] == holm(raw) != raw


@pytest.mark.parametrize(("rank", "outcome"), [(1, "PASS"), (2, "FAIL")])
def test_all_right_and_all_wrong_are_decided_only_with_enough_lemmas(
    experiment: Experiment, rank: int, outcome: str
) -> None:
    for lemmas, expected in ((60, outcome), (3, "INCONCLUSIVE")):
        evaluation = Evaluation(lemmas=lemmas)
        runs = Runs(evaluation)
        for seed in experiment.seeds:  # coherence steps differ, so that the runs are not one observation
            runs.ranks[RunId("A", seed)] = [rank] * evaluation.items + [
                1 + (seed + at) % 2 for at in range(evaluation.items)
            ]
        found = gate_results(scores_of_runs(experiment, runs), ("A",), Gates(retrieval_top1=0.5), 0.05)
        assert found[0].outcome == expected


def test_one_lemma_and_one_seed_give_what_can_be_told(experiment: Experiment) -> None:
    one_lemma = answers(experiment, simulated(experiment, {"A": (0.4, 0.8), "B": (0.7, 0.8)}, Evaluation(lemmas=1)))
    found = one_lemma[Question("B", "A", TOP1, "confirmatory")]
    assert found.p is None and found.reading == "not told apart" and found.recipe is not None
    assert found.recipe.low is None
    one_seed = answers(
        experiment, simulated(experiment, {"A": (0.4, 0.8), "B": (0.7, 0.8)}, Evaluation(lemmas=60), seeds=[42])
    )
    found = one_seed[Question("B", "A", TOP1, "confirmatory")]
    assert found.recipe is not None and found.recipe.method == "lemmas" and found.reading == "better"
    assert found.paired_t is not None and found.paired_t.p is None


def test_an_evaluation_without_tiers_has_no_tier_to_regress_in(experiment: Experiment) -> None:
    found = answers(
        experiment, simulated(experiment, {"A": (0.4, 0.8), "B": (0.7, 0.8)}, Evaluation(lemmas=20, tiers=("",)))
    )
    assert found[Question("B", "A", "tier1_easy", "non-inferiority")].reading == "missing"
    assert mean_pool_of("A") == "mean_pool of A"
