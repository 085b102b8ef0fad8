"""Sense ids, spans and target words of users' texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.formats.reasons import Quarantined, Repair
from engine.data.formats.schemas import SpanObject
from engine.data.formats.usages import LocatedTarget, SenseIdParts, find_word, locate_target, parse_pos, parse_sense_id

WORDS = st.text(alphabet="abgßéк", min_size=2, max_size=6)
FILLERS = st.lists(st.text(alphabet="xyz😀“’\n", min_size=1, max_size=5), max_size=4).map(" ".join)


@given(FILLERS, WORDS, FILLERS, st.integers(-10, 40), st.integers(-10, 40))
def test_the_located_span_equals_the_surface_form_whatever_the_given_span(
    before: str, word: str, after: str, start: int, end: int
) -> None:
    text = f"{before} {word} {after}"
    found = locate_target(text, SpanObject(start, end, word), "lemma")
    assert text[found.start : found.end] == word
    right = text[max(start, 0) : end] == word and start >= 0
    assert found.repair == (None if right else Repair.SPAN_RECOMPUTED)


@given(FILLERS, WORDS, FILLERS)
def test_a_missing_span_is_found_by_the_lemma_in_any_case(before: str, word: str, after: str) -> None:
    text = f"{before} {word.swapcase()} {after}"
    found = locate_target(text, None, word)
    if spans := find_word(text, word):
        assert (found.start, found.end) == spans[0] and found.repair == Repair.SPAN_FOUND
    else:  # ß in upper case is another number of letters
        assert found == LocatedTarget(0, 0, Repair.READ_AS_GLOSS)


@given(FILLERS, WORDS, FILLERS, WORDS)
def test_a_surface_form_that_occurs_twice_or_never_is_quarantined(
    before: str, word: str, after: str, other: str
) -> None:
    wrong = SpanObject(10_000, 10_001, word)
    with pytest.raises(Quarantined) as twice:
        locate_target(f"{word} {before} {word} {after}", wrong, "lemma")
    assert twice.value.reason == "span_outside"
    if not find_word(f"{before} {after}", other):
        with pytest.raises(Quarantined):
            locate_target(f"{before} {after}", SpanObject(0, 1, other), "lemma")


@pytest.mark.parametrize(
    ("text", "span", "found"),
    [
        ("The bank was shut.", SpanObject(4, 8, "bank"), LocatedTarget(4, 8)),
        ("The BANK was shut.", SpanObject(4, 8, "bank"), LocatedTarget(4, 8)),
        ("The bank was shut.", (4, 8), LocatedTarget(4, 8)),
        ("She went there.", (4, 8), LocatedTarget(4, 8)),
        ("The bank was shut.", (3, 8), LocatedTarget(4, 8, Repair.SPAN_RECOMPUTED)),
        ("The bank was shut.", (8, 4), LocatedTarget(4, 8, Repair.SPAN_RECOMPUTED)),
        ("Banking at the bank.", SpanObject(0, 0, "bank"), LocatedTarget(15, 19, Repair.SPAN_RECOMPUTED)),
        ("It barked, embarked.", SpanObject(9, 99, "bark"), LocatedTarget(3, 7, Repair.SPAN_RECOMPUTED)),
        ("The bank was shut.", SpanObject(0, 0, ""), LocatedTarget(4, 8, Repair.SPAN_FOUND)),
        ("No bank is a bank.", None, LocatedTarget(3, 7, Repair.SPAN_FOUND)),
        ("sloping land", None, LocatedTarget(0, 0, Repair.READ_AS_GLOSS)),
        ("", None, LocatedTarget(0, 0, Repair.READ_AS_GLOSS)),
    ],
)
def test_the_target_word_is_located(text: str, span: SpanObject | tuple[int, int] | None, found: LocatedTarget) -> None:
    assert locate_target(text, span, "bank") == found


@pytest.mark.parametrize(
    ("sense_id", "expected"),
    [
        ("wn:dry.adj.dry.s.10", SenseIdParts("dry", "a")),
        ("wn:sky.v.flip.v.06", SenseIdParts("sky", "v")),
        ("wp:jump.n.jump#1999_film", SenseIdParts("jump", "n")),
        ("wn:ice_cream.n.ice_cream.n.01", SenseIdParts("ice cream", "n")),
        ("wn:a.m..adv.ante_meridiem.r.01", SenseIdParts("a.m.", "r")),
        ("wp:egg.n.ac778710", SenseIdParts("egg", "n")),
        ("bank.n.02", SenseIdParts("bank", "n")),
        ("bark#tree", SenseIdParts("bark", None)),
        ("#odd", SenseIdParts(None, None)),
        ("s1", SenseIdParts(None, None)),
        ("", SenseIdParts(None, None)),
    ],
)
def test_lemma_and_part_of_speech_are_read_from_a_sense_id(sense_id: str, expected: SenseIdParts) -> None:
    assert parse_sense_id(sense_id) == expected


def test_parts_of_speech_go_by_many_names() -> None:
    assert [parse_pos(name) for name in ("NOUN", "adj", "s", "Adverb", "v", "interjection", "", None)] == [
        *("n", "a", "a", "r", "v"),
        *(None, None, None),
    ]
