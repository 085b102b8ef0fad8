"""The table of token states: what is gathered is what was put in."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.encoder.encoder_input import EncoderInput
from tests.engine.samples import DEVICES, inputs_of, random_states

TEXTS = ("one", "another", "x", "a longer text than others", "why")


@pytest.mark.parametrize("device", DEVICES)
@given(rows=st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=12))
def test_a_batch_is_its_texts_one_after_another(device: str, rows: list[int]) -> None:
    states = random_states(TEXTS, device=device)
    batch = states.gather(torch.tensor(rows, device=device))
    spans = [states.span(states.inputs[row]) for row in rows]
    expected = torch.cat([states.table[start:end] for start, end in spans]).float()
    assert torch.equal(batch.tokens, expected)
    lengths = [end - start for start, end in spans]
    assert batch.offsets.tolist() == [sum(lengths[:place]) for place in range(len(rows) + 1)]


def test_reused_memory_holds_the_same_states_until_the_next_such_batch() -> None:
    states = random_states(["a", "bb", "ccc"])
    rows = torch.tensor([2, 0])
    own, first = states.gather(rows), states.gather(rows, reuse=True)
    assert all(torch.equal(one, other) for one, other in zip(own[:4], first[:4], strict=True))
    second = states.gather(torch.tensor([1]), reuse=True)
    assert torch.equal(second.tokens, states.gather(torch.tensor([1])).tokens)
    assert second.tokens.data_ptr() == first.tokens.data_ptr() != own.tokens.data_ptr()


def test_texts_are_found_by_content() -> None:
    states = random_states(TEXTS)
    assert states.rows(inputs_of(["why", "one"])).tolist() == [4, 0]
    assert states.width == 12
    with pytest.raises(KeyError):
        states.row(EncoderInput("unknown"))


@given(text=st.text("abc ", min_size=1, max_size=20), span=st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_a_token_is_on_target_when_it_shares_a_character_with_the_target_word(text: str, span: tuple[int, int]) -> None:
    states = random_states([EncoderInput(text, *span)])
    for (start, end), on in zip(states.characters.tolist(), states.on_target.tolist(), strict=True):
        assert on == bool(set(range(start, end)) & set(range(*span)))


def test_each_use_of_a_text_has_its_own_target_word_and_a_gloss_that_of_the_lemma_in_front() -> None:
    uses = [EncoderInput("aabbcc", 2, 4), EncoderInput("aabbcc", 0, 1), EncoderInput("bank: ffgg", 0, 4, is_gloss=True)]
    states = random_states([*uses, EncoderInput("ffgg", is_gloss=True)])
    flags = [states.on_target[slice(*states.span(one))].tolist() for one in states.inputs]
    assert flags == [
        [False, False, True, False, False],
        [False, True, False, False, False],
        [False, True, True, False, False, False, False],
        [False] * 4,
    ]
    assert states.is_gloss.tolist() == [False, False, True, True]
    batch = states.gather(torch.tensor([2, 0]))
    assert batch.on_target.tolist() == [*flags[2], *flags[0]] and batch.is_gloss.tolist() == [True, False]
