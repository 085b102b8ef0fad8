from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.results.aggregate import aggregate
from console.results.analysis.records import Analysis, Comparison, GateOutcome, GateResult, Reading, Role
from console.results.load import load
from console.results.next_steps.derive import Origin, derive, write_addition
from console.results.next_steps.records import NextStep
from console.results.next_steps.steps import next_sections, next_steps
from console.results.report.layout import page_lines
from console.results.statistics.estimates import Interval, Need
from engine.contract.experiment_reader import read_experiment
from engine.contract.items import ItemRow
from engine.contract.settings import run_ids
from engine.contract.toml_file import find_config
from tests.console.results.capsules import row, write_capsule

REDUCE, RAISE, FALL_BACK = (
    "Reduce curriculum oversampling",
    "Raise the verification thresholds for synthetic contexts",
    "Fall back to condition A",
)
ITEMS = [row("1", 1), row("2", 3), row("c", 2, kind="coherence")]
STEPS = {"A": 254, "B": 248, "C": 622}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scaling.toml"
    text = find_config("scaling.toml").read_text().replace("seeds = [42, 123, 456]", "seeds = [42, 123]")
    path.write_text(text)
    return path


def interval(mean: float, half: float = 0.02) -> Interval:
    return Interval(mean, mean - half, mean + half, half / 2, "bootstrap", 2, 20, 100)


def gate(condition: str, mean: float, outcome: GateOutcome, need: Need | None = None) -> GateResult:
    return GateResult(condition, "coherence_accuracy", 0.8, outcome, interval(mean), mean >= 0.8, need=need)


def compared(
    ours: str,
    theirs: str,
    metric: str,
    mean: float,
    reading: Reading = "not told apart",
    role: Role = "exploratory",
    need: Need | None = None,
) -> Comparison:
    return Comparison(ours, theirs, metric, role, reading, interval(mean), need=need)


FAILING = tuple(gate(name, 0.7, "FAIL") for name in "ABC")


def steps_of(
    file: Path,
    gates: Iterable[GateResult] = FAILING,
    comparisons: Iterable[Comparison] = (),
    *,
    exposures: float | None = 6.1,
    missing: Iterable[str] = (),
    rows: list[ItemRow] = ITEMS,
    other_rows: dict[str, list[ItemRow]] | None = None,
    evaluation: dict[str, str] | None = None,
    budgets: dict[str, int] | None = None,
) -> dict[str, NextStep]:
    """Next steps by title, of capsules with these figures and a hand-made analysis."""
    experiment = read_experiment(file)
    folder = file.parent / "runs"
    for run in run_ids(experiment, "full"):
        if str(run) not in missing and not (folder / str(run)).exists():
            write_capsule(
                folder,
                experiment,
                run,
                (other_rows or {}).get(run.condition, rows),
                steps=(budgets or STEPS).get(run.condition, 250),
                exposures=None if run.condition.startswith("A") else exposures,
                evaluation=(evaluation or {}).get(run.condition, "e"),
            )
    loaded = load(folder, run_ids(experiment, "full"))
    results = aggregate(experiment, "full", loaded)
    analysis = Analysis("do not ship", "", gates=tuple(gates), comparisons=tuple(comparisons))
    steps = next_steps(experiment, "full", results, analysis, loaded)
    assert [one.order for one in steps] == list(range(1, len(steps) + 1))
    return {one.title: one for one in steps}


def sides(step: NextStep) -> dict[str, str]:
    return {one.text: one.side for one in step.evidence}


def about(step: NextStep, text: str) -> str:
    """On which side the evidence with ``text`` is."""
    (side,) = {one.side for one in step.evidence if text in one.text}
    return side


@pytest.mark.parametrize(
    ("tier1", "exposures", "status"),
    [
        (-0.05, 80.0, "supported"),
        (-0.05, 6.1, "conflicting"),
        (0.03, 6.1, "contradicted"),
        (0.03, 80.0, "contradicted"),
        (-0.01, 80.0, "no evidence"),
        (-0.01, 6.1, "contradicted"),
    ],
)
def test_reducing_oversampling_is_judged_by_tier1_and_by_exposures(
    file: Path, tier1: float, exposures: float, status: str
) -> None:
    differences = [compared(name, "A", "tier1_easy", tier1) for name in "BC"]
    step = steps_of(file, comparisons=differences, exposures=exposures)[REDUCE]
    assert step.status == status
    assert about(step, f"tier1_easy: B - A {100 * tier1:+.1f} [{100 * tier1 - 2:+.1f}, {100 * tier1 + 2:+.1f}]") == (
        "for" if tier1 == -0.05 else "against" if tier1 == 0.03 else "open"
    )
    assert about(step, f"tier3 bundle of C is drawn {exposures:.{0 if exposures > 50 else 1}f} times") == (
        "against" if exposures < 50 else "open"
    )
    assert [one.parent for one in step.changes] == ["B", "C"] and "tier2_robust = 1.5  # B: 2.0" in step.changes[0].toml
    assert step.advice.startswith("Not advised") == (status == "contradicted")


def test_weights_of_a_tier_that_is_not_trained_on_change_nothing(file: Path) -> None:
    step = steps_of(file, exposures=None)[REDUCE]
    assert about(step, "B trains on no tier3 bundles") == "against"
    assert about(step, "B was not compared with A on tier1_easy") == "open"


def test_a_plan_step_appears_only_for_complete_conditions_that_fail(file: Path) -> None:
    gates = [gate("A", 0.9, "PASS"), gate("B", 0.9, "PASS"), gate("C", 0.7, "FAIL")]
    assert not {REDUCE, RAISE, FALL_BACK} & set(steps_of(file, gates, missing=["C_seed123"]))
    steps = steps_of(file, gates)
    assert steps[REDUCE].conditions == steps[RAISE].conditions == ("C",)
    assert not {REDUCE, RAISE, FALL_BACK} & set(steps_of(file, [gate(name, 0.9, "PASS") for name in "ABC"]))


def test_an_undecided_gate_counts_by_its_mean(file: Path) -> None:
    gates = [gate("A", 0.81, "INCONCLUSIVE"), gate("B", 0.79, "INCONCLUSIVE"), gate("C", 0.9, "PASS")]
    assert steps_of(file, gates)[REDUCE].conditions == ("B",)


@pytest.mark.parametrize(
    ("of_a", "status", "evidence", "advice"),
    [
        (gate("A", 0.7, "FAIL"), "contradicted", "A fails coherence (70.0 [68.0, 72.0], needs 80)",
         "A fails coherence itself: nothing to ship."),
        (gate("A", 0.9, "PASS"), "supported", "A passes every ship blocker", "Ship the certified baseline."),
        (gate("A", 0.81, "INCONCLUSIVE", Need(False, 0.02, 0.01, 4, None)), "no evidence",
         "A is not settled on coherence (81.0 [79.0, 83.0], needs 80); 4 more seeds would; more items cannot",
         "Settle A first: it may be shipped only if it passes every ship blocker."),
    ],
)  # fmt: skip
def test_falling_back_is_advised_only_if_the_control_passes(
    file: Path, of_a: GateResult, status: str, evidence: str, advice: str
) -> None:
    step = steps_of(file, [of_a, *FAILING[1:]])[FALL_BACK]
    assert (step.status, [one.text for one in step.evidence], step.advice) == (status, [evidence], advice)
    assert " if A " not in step.advice and not step.changes


def test_falling_back_to_an_incomplete_control_waits_for_it(file: Path) -> None:
    step = steps_of(file, FAILING[1:], missing=["A_seed42"])[FALL_BACK]
    assert (step.status, step.advice) == ("no evidence", "Complete A first.")


def test_the_built_evaluation_cannot_tell_whether_synthetic_contexts_fail(file: Path) -> None:
    step = steps_of(file, comparisons=[compared("C", "B", "coherence_accuracy", -0.05, "worse")])[RAISE]
    assert about(step, "none of the 3 evaluation items is synthetic") == "open"
    assert about(step, "coherence: C - B -5.0 [-7.0, -3.0]: worse, but C took 622 steps, B 248") == "open"
    assert step.status == "no evidence" and "least_gap = 0.1  # C: 0.05" in step.changes[0].toml


def test_at_equal_steps_a_worse_score_speaks_for_higher_thresholds_and_a_better_one_against(file: Path) -> None:
    worse = [compared("C", "B", "coherence_accuracy", -0.05, "worse")]
    equal = {"A": 250, "B": 250, "C": 251}
    assert steps_of(file, comparisons=worse, budgets=equal)[RAISE].status == "supported"
    better = [compared("C", "B", "coherence_accuracy", 0.05, "better")]
    assert steps_of(file, comparisons=better)[RAISE].status == "contradicted"


def test_items_that_are_synthetic_are_compared_apart(file: Path) -> None:
    def rows(synthetic_rank: int) -> list[ItemRow]:
        made = [
            row(str(number), synthetic_rank if number % 2 and number % 8 > 1 else 1)._replace(
                source="synthetic" if number % 2 else "example", lemma=f"l{number // 4}"
            )
            for number in range(40)
        ]
        return [*made, row("c", 2, kind="coherence")]

    step = steps_of(file, rows=rows(1), other_rows={"C": rows(2)})[RAISE]
    assert about(step, "C - B on 20 synthetic items -75.0 [") == "for"
    assert step.status == "supported"


def test_seeds_and_items_that_would_settle_what_is_open_are_steps(file: Path) -> None:
    seeds, items = Need(False, 0.03, 0.01, 4, None), Need(False, 0.03, 0.019, None, 1386)
    steps = steps_of(
        file,
        comparisons=[
            compared("B", "A", "retrieval_top1", -0.01, role="confirmatory", need=seeds),
            compared("C", "B", "retrieval_top1", 0.01, role="confirmatory", need=items),
            compared("C", "A", "margin", 0.01, need=Need(False, 0.1, 0.1, 40, None)),  # exploratory
            compared("B", "A", "tier1_easy", 0.1, "not worse", "non-inferiority", Need(True, 0.1)),
        ],
    )
    step = steps["4 more seeds for every condition"]
    assert step.changes[0].more_seeds == 4 and step.status == "conflicting"
    assert about(step, "B - A on top-1: 4 more seeds would; more items cannot") == "for"
    assert (
        about(step, "C - B on top-1: more seeds cannot settle this (at any number ±1.9); about 1,400 items")
        == "against"
    )
    step = steps["About 1,400 evaluation items"]
    assert step.status == "supported" and not step.changes and about(step, "B - A on top-1") == "open"


def test_data_and_curriculum_can_be_parted_and_budgets_made_equal(file: Path) -> None:
    steps = steps_of(
        file,
        comparisons=[
            compared("B", "A", "retrieval_top1", -0.05, "worse", "confirmatory"),
            compared("C", "A", "coherence_accuracy", -0.05, "worse"),
        ],
    )
    step = steps["B's data without its curriculum"]
    assert step.status == "supported" and step.changes[0].toml == 'curriculum = "uniform"  # B: "oversample"\n'
    assert about(step, "top-1: B - A -5.0 [-7.0, -3.0], in data and in curriculum") == "for"
    step = steps["A's data with B's curriculum"]
    assert about(step, "A's bundles have no tier3") == "against" and step.changes[0].parent == "A"
    step = steps["C with A's number of steps"]
    assert step.changes[0].toml == "[training]\nsteps = 254\n" and step.status == "supported"
    assert about(step, "C took 622 steps, A 254 (2.4 times), at equal epochs") == "open"
    assert not [title for title in steps if title.startswith("B with")]  # 248 of 254 are as many


def test_a_change_that_was_made_already_is_not_offered_again_but_its_outcome_is_told(file: Path) -> None:
    experiment = read_experiment(file)
    origin = Origin("r", "full", "", "2026-11-27T08:00:00+00:00", "")
    toml = "[curriculum_weights]\ntier2_robust = 1.5\ntier3_adversarial = 2.0\n"
    write_addition(file, derive(experiment, "full", "B", toml, origin), "full")
    step = steps_of(file, FAILING, missing=["B.2_seed42"])[REDUCE]
    assert about(step, "B.2 has this change and is not complete yet") == "open"
    assert [one.parent for one in step.changes] == ["C"] and step.conditions == ("B", "C")
    step = steps_of(file, [*FAILING, gate("B.2", 0.72, "FAIL")])[REDUCE]
    assert about(step, "B.2 has this change and fails coherence (72.0 [70.0, 74.0], needs 80)") == "against"
    step = steps_of(file, [*FAILING, gate("B.2", 0.9, "PASS")])[REDUCE]
    assert about(step, "B.2 has this change and passes every ship blocker") == "for"


def test_an_equal_budget_is_offered_once(file: Path) -> None:
    assert "C with A's number of steps" in steps_of(file)
    origin = Origin("r", "full", "", "2026-11-27T08:00:00+00:00", "")
    write_addition(file, derive(read_experiment(file), "full", "C", "[training]\nsteps = 254\n", origin), "full")
    assert "C with A's number of steps" not in steps_of(file, budgets=STEPS | {"C.2": 254})


def test_runs_that_cannot_be_compared_lead_to_no_step(file: Path) -> None:
    assert steps_of(file, evaluation={"C": "other"}) == {}


def test_steps_are_shown_with_their_evidence_and_number(file: Path) -> None:
    steps = tuple(steps_of(file, comparisons=[compared("B", "A", "tier1_easy", -0.05)]).values())
    page = "\n".join("".join(part.text for part in line) for line in page_lines(next_sections(steps)))
    assert (
        "Next, in the plan's order\n1. Reduce curriculum oversampling   conflicting\n   for: tier1_easy: B - A -5.0"
        in page
    )
    assert "Beside the plan\n4. A head of more capacity on A's data   supported" in page
    assert "5. B's data without its curriculum" in page
    assert [section.key for section in next_sections(steps)] == ["next", "more"]
    assert next_sections(()) == () and [one.key for one in next_sections((replace(steps[0]),))] == ["next"]


def test_a_gate_that_all_fail_by_more_than_they_differ_asks_for_another_model(file: Path) -> None:
    gates = [gate("A", 0.71, "FAIL"), gate("B", 0.69, "FAIL"), gate("C", 0.68, "FAIL")]
    step = steps_of(file, gates)["A head of more capacity on A's data"]
    assert step.status == "supported"
    assert sides(step) == {
        "coherence: the best condition, A, lacks 9.0 points; the conditions differ by 3.0 at most": "for"
    }
    assert 'architecture = "residual"' in step.changes[0].toml and step.changes[0].parent == "A"
    near = [gate("A", 0.79, "FAIL"), gate("B", 0.70, "FAIL"), gate("C", 0.69, "FAIL")]
    for other in (near, [*gates[:2], gate("C", 0.79, "INCONCLUSIVE")]):
        assert "A head of more capacity on A's data" not in steps_of(file, other)


def test_more_data_say_that_a_settled_verdict_does_not_hang_on_them(file: Path) -> None:
    need = Need(False, 0.04, 0.02, 4, 1500)
    open_question = compared("B", "A", "retrieval_top1", 0.01, role="confirmatory", need=need)
    for gates, is_said in ((FAILING, True), ([*FAILING[:2], gate("C", 0.79, "INCONCLUSIVE")], False)):
        step = steps_of(file, gates, [open_question])["About 1,500 evaluation items"]
        assert ("the verdict stays what it is: every condition fails coherence" in sides(step)) == is_said
