"""The verdict and the sentence that says it, for gates and comparisons made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from console.results.analysis.gate_results import gate_outcome
from console.results.analysis.records import MEAN_POOL, Comparison, GateResult, Reading, Role
from console.results.analysis.verdict import Decision, Evaluated, decide
from console.results.statistics.estimates import Interval, Need
from engine.contract.metrics import GATE_NAMES

THRESHOLDS = {"retrieval_top1": 0.3, "retrieval_top3": 0.5, "coherence_accuracy": 0.8}
TOP1, TOP3, COHERENCE = GATE_NAMES


def interval(mean: float, half: float = 0.02) -> Interval:
    return Interval(mean, mean - half, mean + half, half / 2, "t", 3, 20, 60)


def gate(condition: str, name: str, mean: float, half: float = 0.02, pool: float = 0.2) -> GateResult:
    threshold, found = THRESHOLDS[name], interval(mean, half)
    outcome = gate_outcome(found, threshold)
    p = 0.001 if outcome == "FAIL" else 1.0
    need = Need(False, 0.03, 0.01, None, 3100)
    result = GateResult(condition, name, threshold, outcome, found, mean >= threshold, p, mean_pool=pool, need=need)
    return replace(result, pass_p=0.001 if outcome == "PASS" else 0.5)


def gates(condition: str, top1: float = 0.45, top3: float = 0.75, coherence: float = 0.9) -> list[GateResult]:
    return [gate(condition, name, mean) for name, mean in zip(GATE_NAMES, (top1, top3, coherence), strict=True)]


def comparison(
    ours: str, theirs: str, mean: float, reading: Reading, metric: str = TOP1, role: Role = "confirmatory"
) -> Comparison:
    return Comparison(ours, theirs, metric, role, reading, interval(mean))


def decision(
    found: Sequence[GateResult],
    comparisons: Sequence[Comparison] = (),
    *,
    counted: int = 3,
    comparable: bool = True,
    derived: Sequence[str] = (),
) -> Decision:
    names = list(dict.fromkeys(one.condition for one in found))
    evaluated = [Evaluated(name, counted, 3) for name in names]
    return decide(evaluated, found, comparisons, 0.05, comparable=comparable, derived=derived)


NOISE = (comparison("B", "A", -0.01, "not told apart"), comparison("C", "B", 0.01, "not told apart"))


def test_without_any_evaluated_run_there_is_nothing_to_decide() -> None:
    found = decision([GateResult("A", TOP1, 0.3, "MISSING")], counted=0)
    assert found == Decision("incomplete", "Nothing to decide yet: no run is evaluated.")


def test_runs_of_different_evaluations_have_no_verdict() -> None:
    found = decision(gates("A"), comparable=False)
    assert found.verdict == "incomplete" and "different evaluation data" in found.summary


def test_while_runs_are_missing_the_verdict_is_incomplete_and_says_what_is_known() -> None:
    found = decision([*gates("A", coherence=0.7), *gates("B")], counted=2)
    assert found == Decision(
        "incomplete", "Incomplete. 4 of 6 runs are evaluated. So far: coherence fails in A (70.0, needs 80)."
    )
    assert decision(gates("A"), counted=2).summary == "Incomplete. 2 of 3 runs are evaluated."


def test_a_gate_that_fails_everywhere_and_no_difference_is_said_in_one_sentence() -> None:
    found = decision(
        [
            gate
            for name, coherence in zip("ABC", (0.71, 0.69, 0.68), strict=True)
            for gate in gates(name, coherence=coherence)
        ],
        NOISE,
    )
    assert found == Decision(
        "do not ship",
        "Do not ship. Coherence fails in every condition (68.0 to 71.0, needs 80);"
        " no condition differs from another beyond noise.",
    )


def test_a_significant_regression_is_said_and_is_not_noise() -> None:
    worse = [
        comparison(name, "A", mean, "worse", COHERENCE, "non-inferiority")
        for name, mean in (("B", -0.022), ("C", -0.034))
    ]
    found = decision(
        [*gates("A", coherence=0.7), *gates("B", coherence=0.7), *gates("C", coherence=0.7)], [*NOISE, *worse]
    )
    assert found.summary == (
        "Do not ship. Coherence fails in every condition (70.0, needs 80); B and C are worse than A on coherence"
        " (-2.2, -3.4); on top-1 no condition differs from another beyond noise."
    )


def test_an_exploratory_difference_is_said_to_be_one() -> None:
    found = decision(
        [*gates("A", coherence=0.7), *gates("B", coherence=0.7)],
        [NOISE[0], comparison("B", "A", 0.05, "better", TOP3, "exploratory")],
    )
    assert "B is better than A on top-3 (+5.0), exploratory; on top-1 no condition differs" in found.summary
    failing = [*gates("A", coherence=0.7), *gates("B", coherence=0.7), *gates("C", coherence=0.7)]
    with_top1 = decision(failing, [*NOISE, comparison("C", "A", 0.04, "better", TOP1, "exploratory")])
    assert "C is better than A on top-1 (+4.0), exploratory" in with_top1.summary
    assert "no condition differs" not in with_top1.summary


def test_a_score_below_mean_pooling_is_below_only_where_that_is_shown() -> None:
    low = replace(gate("A", TOP3, 0.75), mean_pool=0.8)
    found = [gate("A", TOP1, 0.45), low, gate("A", COHERENCE, 0.7)]
    assert "top-3 is not above frozen mean pooling in A" in decision(found).summary
    shown = decision(found, [comparison("A", MEAN_POOL, -0.05, "worse", TOP3, "exploratory")])
    assert "top-3 is below frozen mean pooling in A" in shown.summary and "not above" not in shown.summary


def test_of_conditions_that_all_pass_the_first_is_shipped_unless_another_is_shown_to_be_better() -> None:
    passing = [*gates("A"), *gates("B"), *gates("C")]
    same = decision(passing, NOISE)
    assert (same.verdict, same.ship, same.shippable) == ("ship", "A", ("A", "B", "C"))
    assert same.summary == ("Ship A: it passes every ship blocker. B and C are not shown to be better than A.")
    better = decision(passing, [comparison("B", "A", 0.04, "better"), NOISE[1]])
    assert better.ship == "B"
    assert better.summary.startswith("Ship B: it passes every ship blocker. B is better than A on top-1 (+4.0).")


def test_a_better_condition_is_not_shipped_while_a_regression_is_not_excluded() -> None:
    better = comparison("B", "A", 0.04, "better")
    open_guard = comparison("B", "A", -0.01, "undecided", "tier1_easy", "non-inferiority")
    found = decision([*gates("A"), *gates("B")], [better, open_guard])
    assert found.ship == "A" and "it is not shown that tier1_easy does not regress" in found.summary
    shown = decision([*gates("A"), *gates("B")], [better, replace(open_guard, reading="not worse")])
    assert shown.ship == "B"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["gate coherence was 80, now 65"], "gate coherence was 80, now 65"),
        (["the level of the gates was 0.05, now 0.5"], "the level of the gates was 0.05, now 0.5"),
        (["seed 42 was removed", "condition B was removed"], "seed 42 was removed and condition B was removed"),
        (
            ["seed 1 was removed", "seed 2 was removed", "seed 3 was removed"],
            "seed 1 was removed, seed 2 was removed and 1 more",
        ),
    ],
)
def test_a_verdict_by_a_plan_that_was_changed_says_so(changes: list[str], said: str) -> None:
    found = decide([Evaluated("A", 3, 3)], gates("A"), (), 0.05, changes=changes)
    assert found.summary == (
        f"Ship A: it passes every ship blocker. But the plan was changed after the first launch: {said}."
    )
    failed = decide([Evaluated("A", 3, 3)], gates("A", coherence=0.7), (), 0.05, changes=changes)
    assert failed.summary.endswith(f"But the plan was changed after the first launch: {said}.")


def test_a_changed_expectation_bears_on_no_verdict() -> None:
    changes = ["the expected outcome of B was changed"]
    found = decide([Evaluated("A", 3, 3)], gates("A"), (), 0.05, changes=changes)
    assert found.summary == "Ship A: it passes every ship blocker."


def test_an_exploratory_finding_does_not_choose_what_is_shipped() -> None:
    explored = comparison("C", "A", 0.04, "better", COHERENCE, "exploratory")
    found = decision([*gates("A"), *gates("C")], [explored])
    assert found.ship == "A"
    assert "C is better than A on coherence (+4.0), but exploratory: no planned comparison shows it." in found.summary


def test_a_pass_that_holm_does_not_uphold_over_all_conditions_is_said_to_be_one_by_itself() -> None:
    def passing(condition: str, p: float) -> list[GateResult]:
        return [replace(one, pass_p=p if one.gate == COHERENCE else 0.0001) for one in gates(condition)]

    weak, failing = passing("A", 0.02), [*gates("B", coherence=0.7), *gates("C", coherence=0.7)]
    failing = [replace(one, pass_p=0.9) for one in failing]
    alone = decision(weak)
    assert alone.summary == "Ship A: it passes every ship blocker."
    among = decision([*weak, *failing])
    assert (among.verdict, among.ship) == ("ship", "A")
    assert among.summary.startswith("Ship A: it passes every ship blocker, by itself but not over all 3 conditions.")
    strong = decision([*passing("A", 0.008), *failing])
    assert strong.summary.startswith("Ship A: it passes every ship blocker. ")


def test_if_only_the_control_passes_it_is_shipped_and_the_others_faults_are_named() -> None:
    found = decision([*gates("A"), *gates("B", coherence=0.7)], NOISE[:1])
    assert (found.verdict, found.shippable) == ("ship", ("A",))
    assert found.summary == "Ship A: it passes every ship blocker. B fails coherence."


def test_an_undecided_gate_says_what_would_settle_it() -> None:
    found = decision([*gates("A", coherence=0.79), *gates("B", coherence=0.7)], NOISE[:1])
    assert (found.verdict, found.ship) == ("undecided", None)
    assert found.summary.startswith(
        "Undecided. A's coherence (79.0 [77.0, 81.0], needs 80) neither passes nor fails: more seeds cannot settle this"
    )
    assert "about 3,100 items would" in found.summary and "Coherence fails in B (70.0, needs 80)" in found.summary


def test_an_undecided_gate_beside_a_passing_condition_does_not_hold_that_up() -> None:
    found = decision([*gates("A"), *gates("B", coherence=0.79)])
    assert found.ship == "A" and "B does not surely pass coherence" in found.summary


def test_a_derived_condition_that_passes_is_not_shipped_but_to_be_confirmed() -> None:
    found = decision([*gates("A", coherence=0.7), *gates("B.2")], derived=["B.2"])
    assert found.verdict == "do not ship" and found.shippable == ()
    assert (
        "B.2 passes every ship blocker, but was made after results were read: to be scored on the confirm"
        in found.summary
    )


def test_a_failure_that_holm_does_not_uphold_over_all_conditions_is_said_to_be_one_by_itself() -> None:
    unsure = replace(gate("B", COHERENCE, 0.77), fail_p=0.03)
    found = decision([*gates("A", coherence=0.7), *gates("B")[:2], unsure])
    assert "(70.0 to 77.0, needs 80, by itself but not over all conditions in B)" in found.summary


def test_a_gate_above_what_the_evaluation_allows_is_said_to_be_one() -> None:
    impossible = replace(gate("A", COHERENCE, 0.7), ceiling=0.75)
    summary = decision([*gates("A")[:2], impossible]).summary
    assert summary == "Do not ship. Coherence fails in A (70.0, needs 80, of 75.0 possible)."


def test_identical_conditions_are_one_observation() -> None:
    found = decision([*gates("A", coherence=0.7), *gates("B", coherence=0.7)], [comparison("B", "A", 0.0, "identical")])
    assert "the conditions' items are identical: one observation" in found.summary


def test_many_conditions_are_counted_not_listed() -> None:
    many = [gate for at in range(100) for gate in gates(f"X{at}", coherence=0.7 if at < 60 else 0.9, top1=0.1)]
    summary = decision(many).summary
    assert "coherence fails in X0, X1, X2 and 57 more" in summary and len(summary) < 300


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(0.8, 0.9, "PASS"), (0.79, 0.9, "INCONCLUSIVE"), (0.7, 0.8, "INCONCLUSIVE"), (0.7, 0.79, "FAIL")],
)
def test_a_gate_passes_if_the_lower_bound_reaches_it_and_fails_if_the_upper_does_not(
    low: float, high: float, outcome: str
) -> None:
    assert gate_outcome(Interval(0.8, low, high, 0.01, "t", 3, 9, 9), 0.8) == outcome
    assert gate_outcome(Interval(0.8, None, None, None, "none", 3, 1, 9), 0.8) == "INCONCLUSIVE"
