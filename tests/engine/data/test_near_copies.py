"""Near-copies are found exactly as a comparison of every pair finds them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.data.near_copies import LEAST_CONTAINED, LEAST_JACCARD, LEAST_NGRAMS, NGRAM, near_copies
from engine.data.wordnet.usage_events import normalised

LONG = "The committee postponed its decision until the auditors had read every ledger"

words = st.sampled_from(("cat", "Cats", "the", "a", "sat", "mat", "on", "bank", "banks", "of", "river", "é", "-"))
sentences = st.lists(words, max_size=9).map(" ".join)


def grams(text: str) -> set[str]:
    form = normalised(text)
    return {form[at : at + NGRAM] for at in range(max(1, len(form) - NGRAM + 1))}


def copies(one: str, other: str) -> bool:
    """The definition, pair by pair."""
    if not normalised(one) or not normalised(other):
        return False
    left, right = grams(one), grams(other)
    smaller, shared = min(len(left), len(right)), len(left & right)
    contained = smaller >= LEAST_NGRAMS and shared >= LEAST_CONTAINED * smaller
    return contained or shared / len(left | right) >= LEAST_JACCARD


@given(st.lists(sentences, max_size=8), st.lists(sentences, max_size=8))
def test_finds_what_comparing_every_pair_finds(texts: list[str], against: list[str]) -> None:
    found = near_copies(texts, against)
    assert set(found) == {text for text in texts if any(copies(text, other) for other in against)}
    assert all(copies(text, other) and other in against for text, other in found.items())


def test_case_punctuation_and_one_word_do_not_hide_a_copy() -> None:
    changed = LONG.upper().replace("AUDITORS", "Inspectors") + "!"
    assert near_copies([changed, "Quite another thing"], ["unrelated", LONG]) == {changed: LONG}


def test_a_sentence_quoted_in_a_longer_text_is_a_copy() -> None:
    quoting = (
        f"It was said afterwards that, to nobody's surprise in the whole of that valley, {LONG.lower()}, and so on"
    )
    assert grams(LONG) & grams(quoting) and near_copies([quoting], [LONG]) == {quoting: LONG}
    assert near_copies([LONG], [quoting]) == {LONG: quoting}


def test_a_short_phrase_in_a_longer_text_is_no_copy() -> None:
    assert near_copies(["the ledger"], [LONG + " and the ledger"]) == {}


def test_a_near_copy_is_mapped_to_the_most_similar_text() -> None:
    near, nearest = LONG + " twice over", LONG + "s"
    assert near_copies([LONG], [near, nearest]) == {LONG: nearest}


def test_a_text_without_letters_copies_nothing() -> None:
    assert near_copies([], [LONG]) == near_copies([LONG], []) == near_copies(["?!"], ["..."]) == {}
