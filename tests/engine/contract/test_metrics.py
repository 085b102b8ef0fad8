"""Verdicts on ship blockers."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from engine.contract.experiment import Gates
from engine.contract.metrics import GATE_NAMES, judge


@given(st.dictionaries(st.sampled_from(GATE_NAMES), st.floats(0, 1)))
def test_a_gate_passes_at_its_threshold_and_above_and_never_without_a_value(values: dict[str, float]) -> None:
    for verdict in judge(values, Gates()):
        threshold = getattr(Gates(), verdict.gate)
        assert verdict.threshold == threshold
        assert verdict.passed == (verdict.gate in values and values[verdict.gate] >= threshold)


def test_nan_fails_every_gate() -> None:
    assert not any(verdict.passed for verdict in judge(dict.fromkeys(GATE_NAMES, math.nan), Gates()))


def test_exactly_the_threshold_passes() -> None:
    assert [verdict.passed for verdict in judge({"retrieval_top1": 0.30, "retrieval_top3": 0.4999}, Gates())] == [
        True,
        False,
        False,
    ]
