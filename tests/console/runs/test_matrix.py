"""The compact matrix as text: what fits into eight columns, and means over complete seeds only."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace

from console.runs.matrix import MeanSpread, derived_text, matrix_row, ordered, ordinal, queue_places, short_text
from console.runs.run_view import RunView
from engine.contract.derived import Derivation
from engine.contract.events import Progress, Stage, Step, Warning
from engine.contract.settings import RunId
from engine.contract.state import RunState
from tests.console.ui.fake_session import SCALING
from tests.console.ui.scenes import finished, training, view_of

RUN = RunId("A", 42)


def ends(state: str, reason: str = "", exit_code: int | None = None) -> RunView:
    return RunView(RUN, RunState(state, "k", reason=reason, exit_code=exit_code))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("view", "place", "text"),
    [
        (RunView(RUN), None, ""),
        (view_of(RUN, "queued"), 2, "2nd"),
        (view_of(RUN, "queued"), 112, "112th"),
        (view_of(RUN, "queued"), 1000, ""),
        (view_of(RUN, "running"), None, "start"),
        (view_of(RUN, "running", [Stage("encode"), Progress(10, 40, "texts")]), None, "enc"),
        (view_of(RUN, "running", [Stage("train")]), None, "train"),
        (view_of(RUN, "running", training(124)), None, "62%"),
        (view_of(RUN, "running", [Stage("train"), Step(0, 0, 0, 0.5, 0.1, {})]), None, "train"),  # zero epochs
        (view_of(RUN, "running", [*training(200), Stage("evaluate")]), None, "eval"),
        (finished(RUN, top1=0.4331), None, "43.3"),
        (finished(RUN, top1=1.0), None, "100.0"),
        (view_of(RUN, "finished"), None, "-"),
        (ends("failed", "CUDA out of memory. Tried to allocate 2 GiB"), None, "oom"),
        (ends("failed", "No space left on device"), None, "disk"),
        (ends("failed", "the loss is not finite"), None, "nan"),
        (ends("failed", "", 3), None, "ex3"),
        (ends("failed", "killed", -9), None, "sig9"),
        (ends("failed", "\u202e[bold]名前名前[/]"), None, "fail"),
        (ends("failed", "", 2**40), None, "fail"),
        (replace(view_of(RUN, "running", training(124)), aborting=True), None, "abort"),
        (ends("aborted", "by ann"), None, ""),
        (ends("lost", "[red]x[/]"), None, "lost"),
    ],
)
def test_a_run_in_five_columns(view: RunView, place: int | None, text: str) -> None:
    assert short_text(view, place) == text
    assert len(text) <= 5 and text.isascii()


def test_mean_and_deviation_are_over_complete_seeds() -> None:
    runs = [RunId("A", seed) for seed in (1, 2, 3, 4)]
    views = [
        finished(runs[0], top1=0.42, coherence=0.70),
        finished(runs[1], top1=0.44, coherence=0.70),
        view_of(runs[2], "running", training(100)),
        replace(finished(runs[3], top1=0.99), state=RunState("failed", "k")),  # evaluated, but not complete
    ]
    row = matrix_row("A", views)
    assert str(row.top1) == "43.0 ± 1.4" and str(row.coherence) == "70.0 ± 0.0"
    assert row.top1 and row.top1.count == 2
    assert str(matrix_row("A", views[:1]).top1) == "42.0"
    assert matrix_row("A", views[2:]).top1 is None


def test_a_score_that_is_no_number_does_not_spoil_the_mean() -> None:
    views = [finished(RunId("A", 1), top1=0.42), finished(RunId("A", 2), top1=0.44)]
    assert views[1].evaluation
    views[1] = replace(views[1], evaluation=replace(views[1].evaluation, top1=math.nan))
    assert matrix_row("A", views).top1 == MeanSpread(0.42, None, 1)
    assert short_text(views[1], None) == "-"


def test_rows_without_a_value_stay_last_whichever_way_they_are_ordered() -> None:
    views: dict[RunId, RunView] = {}
    rows = []
    for name, top1 in (("A", 0.5), ("B", None), ("C", 0.7), ("D", 0.6)):
        run = RunId(name, 42)
        views[run] = RunView(run) if top1 is None else finished(run, top1=top1, coherence=1 - top1)
        if name == "D":
            views[run] = replace(views[run], warnings=(Warning("dilution", "x"),) * 3)
        rows.append(matrix_row(name, [views[run]]))

    def order(key: Any, descending: bool) -> str:
        return "".join(row.condition for row in ordered(rows, key, descending, views))

    assert (order("top1", True), order("top1", False)) == ("CDAB", "ADCB")
    assert (order("coherence", True), order(42, True), order(7, True)) == ("ADCB", "CDAB", "ABCD")
    assert order("warnings", True) == "DABC"
    assert (order("plan", False), order("plan", True)) == ("ABCD", "DCBA")


def test_the_queue_is_counted_in_the_order_of_the_host() -> None:
    views = [RunView(RunId("A", seed), RunState("queued", "k", ticket=ticket)) for seed, ticket in ((1, 9), (2, 4))]
    assert queue_places([*views, finished(RUN)]) == {RunId("A", 2): 1, RunId("A", 1): 2}


def test_ordinals() -> None:
    assert [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th")
    ]


def test_a_derived_condition_names_its_parent_and_what_differs_from_that() -> None:
    at = "2026-01-01T00:00:00Z"
    weights = {"tier2_robust": 1.5, "tier3_adversarial": 2.0}
    child = replace(SCALING.conditions["B"], curriculum_weights=weights, derived=Derivation("B", "why", at, ("demo",)))
    grandchild = replace(child, training={"epochs": 9}, derived=Derivation("B.2", "why", at, ("full",)))
    same = replace(child, derived=Derivation("B.2", "why", at, ("demo",)))
    experiment = replace(SCALING, conditions={**SCALING.conditions, "B.2": child, "B.2.2": grandchild, "B.2.3": same})
    assert derived_text(experiment, "B.2", "demo") == "from B: tier2 1.5, tier3 2.0"
    assert derived_text(experiment, "B.2.2", "full") == "from B.2: epochs 9"
    assert derived_text(experiment, "B.2.3", "demo") == "from B.2: no setting differs"
    assert derived_text(experiment, "B", "demo") == ""
