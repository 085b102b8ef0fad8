from __future__ import annotations

import pytest

from engine.data.wordnet.verb_frames import Slot, can_replace, slot_after


@pytest.mark.parametrize(
    ("before", "verb", "after", "expected"),
    [
        ("he wants to ", "avenge", " the murder", "object"),
        ("she ", "basks", " in her glory", "preposition"),
        ("the bill ", "came", " to $2,000", "preposition"),
        ("she wants ", "help", " to move", None),
        ("I ", "tried", " to go", None),
        ("push ", "push", " a little to make the deadline", None),
        ("it was ", "covered", " with snow", None),
        ("they are ", "pushing", " their plans", "object"),
        ("he ", "ran", ".", None),
    ],
)
def test_what_follows_an_active_verb(before: str, verb: str, after: str, expected: Slot | None) -> None:
    assert slot_after(before, verb, after) == expected


@pytest.mark.parametrize(
    ("slot", "frames", "replaced", "elsewhere", "phrase_to_word", "expected"),
    [
        ("object", {8}, {8}, {2, 22}, False, False),  # retaliate the murder
        ("object", {8}, {8}, {8, 22}, False, True),
        ("object", {8}, {8}, None, False, True),
        ("object", {8, 9, 22}, {8, 9}, None, False, False),  # listen the advice
        ("object", {22}, {22}, None, True, False),  # linger the department, of hang around
        ("object", {22}, {22}, None, False, True),
        ("preposition", {8, 11}, {8, 11, 22}, None, False, False),  # evidenced to her incompetence
        ("preposition", {8, 11}, {8, 11}, {9, 10}, False, False),  # occupies in Princeton
        ("preposition", {8, 11}, {8, 11}, {2}, False, True),
        ("preposition", {8}, {8}, None, False, True),
    ],
)
def test_a_verb_replaces_another_if_it_takes_the_same(
    slot: Slot, frames: set[int], replaced: set[int], elsewhere: set[int] | None, phrase_to_word: bool, expected: bool
) -> None:
    others = None if elsewhere is None else frozenset(elsewhere)
    found = can_replace(slot, frozenset(frames), frozenset(replaced), others, phrase_to_word=phrase_to_word)
    assert found is expected
