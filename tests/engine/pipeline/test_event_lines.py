"""Events as lines of a log."""

from __future__ import annotations

import pytest

from engine.contract.events import Body, Checkpoint, End, Epoch, Evaluation, Progress, Stage, Step, Warning
from engine.pipeline.event_log import line_of


def step(number: int) -> Step:
    return Step(number, 25, 1, 0.5, 1e-3, {"tier1_easy": 60, "tier3_adversarial": 4})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (Stage("data", "edition v2.2"), "[data] edition v2.2"),
        (Progress(3, 7, "texts"), "  3/7 texts"),
        (step(20), "  step 20/25 loss 0.5000 lr 1.00e-03 tier1_easy 60 tier3_adversarial 4"),
        (step(21), None),
        (step(25), "  step 25/25 loss 0.5000 lr 1.00e-03 tier1_easy 60 tier3_adversarial 4"),
        (Warning("dilution", "too thin"), "warning: dilution: too thin"),
        (Checkpoint(9, 2, "ab" * 32), "  checkpoint at step 9, sha256 abababababab"),
        (End(("retrieval_top1",)), "end: failed ship blockers: retrieval_top1"),
        (End(), "end: every ship blocker passed"),
    ],
)
def test_each_event_is_one_line_and_most_steps_are_none(body: Body, expected: str | None) -> None:
    assert line_of(body) == expected


def test_every_number_of_the_head_stands_beside_mean_poolings() -> None:
    epoch = line_of(Epoch(1, 9, 0.5, -0.01, 1.0, {}, 0.9, 0.4))
    assert epoch is not None
    assert "50.0% (mean pooling 40.0%)" in epoch
    evaluation = line_of(Evaluation(0.5, 0.7, 0.8, 0.4, 0.6, 0.75))
    assert evaluation is not None
    assert "50.0% (mean pooling 40.0%)" in evaluation
    assert "80.0% (75.0%)" in evaluation
