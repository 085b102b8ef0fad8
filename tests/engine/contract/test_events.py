"""The bounds of events: nothing that a run can measure is beyond them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract.events import Body, Evaluation, Event, Progress, Step, Warning, decode, encode
from tests.measurements import measurement

LARGEST_FLOAT32 = 3.4028235e38


@pytest.mark.parametrize("loss", [LARGEST_FLOAT32, -LARGEST_FLOAT32, 5e-324, 0.0])
@pytest.mark.parametrize("margin", [2.0000002, -2.0000002])
@pytest.mark.parametrize("entropy", [1.000001, -1e-6])
def test_the_extremes_of_32_bits_and_their_rounding_are_read_back(loss: float, margin: float, entropy: float) -> None:
    extreme = measurement(0, margin=margin, loss=loss, attention_entropy=entropy, top1=1.0, tiers={"tier1_easy": 0.0})
    for body in (extreme, Step(1, 1, 1, loss, 1e300, {}), Warning("loss_spike", "", 1, loss)):
        event = Event(0, time.time(), body)
        assert decode(encode(event)) == event


@given(st.integers(0, 2**53), st.integers(0, 2**53), st.floats(0, 1))
def test_counts_and_fractions_are_read_back(done: int, total: int, fraction: float) -> None:
    bodies: tuple[Body, ...] = (Progress(done, total, "texts"), Evaluation(*[fraction] * 6))
    for body in bodies:
        event = Event(done, 0.0, body)
        assert decode(encode(event)) == event
