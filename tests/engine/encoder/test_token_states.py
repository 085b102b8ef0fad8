"""The table of token states: what is gathered is what was put in."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.samples import DEVICES, random_states

TEXTS = ("one", "another", "x", "a longer text than others", "why")


@pytest.mark.parametrize("device", DEVICES)
@given(rows=st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=12))
def test_a_batch_is_its_texts_one_after_another(device: str, rows: list[int]) -> None:
    states = random_states(TEXTS, device=device)
    batch = states.gather(torch.tensor(rows, device=device))
    spans = [states.span(TEXTS[row]) for row in rows]
    expected = torch.cat([states.table[start:end] for start, end in spans]).float()
    assert torch.equal(batch.tokens, expected)
    lengths = [end - start for start, end in spans]
    assert batch.offsets.tolist() == [sum(lengths[:place]) for place in range(len(rows) + 1)]


def test_texts_are_found_by_content() -> None:
    states = random_states(TEXTS)
    assert states.rows(["why", "one"]).tolist() == [4, 0]
    assert states.width == 12
    with pytest.raises(KeyError):
        states.row("unknown")
