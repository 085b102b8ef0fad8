"""Which tokens belong to a target word."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.training.batch_loss import covers, target_tokens
from tests.engine.made_up import bundle, event, random_states


@given(text=st.text("abc ", min_size=1, max_size=20), span=st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_a_token_is_covered_when_it_shares_a_character_with_the_word(text: str, span: tuple[int, int]) -> None:
    states = random_states([text])
    word = event(text, span=span)
    covered = covers(states.characters, word)
    for (start, end), on in zip(states.characters.tolist(), covered.tolist(), strict=True):
        assert on == bool(set(range(start, end)) & set(range(*span)))


def test_the_table_is_marked_for_every_event_but_glosses() -> None:
    anchor, positive = event("aabbcc", span=(2, 4)), event("ddee", span=(0, 2))
    gloss, far = event("ffgg", source="gloss"), event("hhii", span=(2, 4))
    states = random_states(["aabbcc", "ddee", "bank: ffgg", "hhii"])
    marked = target_tokens([bundle(anchor, positive, [gloss], cross_lemma=[far])], states)
    told = {text: marked[slice(*states.span(text))].tolist() for text in states.texts}
    assert told == {
        "aabbcc": [False, False, True, False, False],
        "ddee": [False, True, False, False],
        "bank: ffgg": [False] * 7,
        "hhii": [False, False, True, False],
    }
    assert marked.dtype == torch.bool
