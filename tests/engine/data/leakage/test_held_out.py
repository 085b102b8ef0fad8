"""What training must not show, found where it is asked about."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.data.leakage.held_out import HeldOut
from engine.data.wordnet.usage_events import Lexicon, Sense, normalised, usage_event

WORDS = st.lists(st.sampled_from(["river", "money", "steep", "robbed", "the", "bank"]), min_size=5, max_size=9)
LONG = "they went down to the bank of the river and sat there"


def sense(lemma: str, gloss: str, *examples: str) -> Sense:
    made = tuple(usage_event(lemma, "n", f"{lemma}.1", text, (0, 4), "example") for text in examples)
    return Sense(
        f"{lemma}.1", lemma, "n", f"{lemma}.n.01", usage_event(lemma, "n", lemma, gloss, (0, 0), "gloss"), made
    )


@given(st.lists(WORDS, max_size=6))
def test_what_is_held_out_is_held_out_in_any_spelling(texts: list[list[str]]) -> None:
    held_out = HeldOut(" ".join(words) for words in texts)
    assert all(normalised("-".join(words).upper()) in held_out for words in texts)
    assert "elsewhere" not in held_out


def test_a_near_copy_is_held_out_from_when_it_was_found() -> None:
    held_out = HeldOut([LONG])
    copy = f"And {LONG} a while"
    assert normalised(copy) not in held_out
    assert held_out.copies_among([copy, "something else entirely"]) == {copy}
    assert normalised(copy) in held_out
    assert normalised(copy) in held_out.near_copies
    assert normalised("something else entirely") not in held_out


def test_what_is_added_is_held_out_without_what_is_like_it() -> None:
    held_out = HeldOut([])
    held_out.add([LONG])
    assert normalised(LONG) in held_out
    assert held_out.copies_among([f"And {LONG}"]) == set()


def test_the_lemmas_that_lost_a_text_are_named() -> None:
    lexicon: Lexicon = {
        "bank": (sense("bank", "sloping land", f"And {LONG} a while"),),
        "shore": (sense("shore", LONG.replace("they", "we") + " too"),),
        "sky": (sense("sky", "the air above", "the sky was grey"),),
    }
    held_out = HeldOut([LONG])
    assert held_out.hit(lexicon, ["bank", "shore", "sky"]) == {"bank", "shore"}
    assert held_out.hit(lexicon, ["bank", "shore", "sky"]) == set()
