"""What a sense id tells."""

from __future__ import annotations

import pytest

from engine.data.formats.usages import Told, pos_named, told_by


@pytest.mark.parametrize(
    ("sense_id", "told"),
    [
        ("wn:dry.adj.dry.s.10", Told("dry", "a")),
        ("wn:sky.v.flip.v.06", Told("sky", "v")),
        ("wp:jump.n.jump#1999_film", Told("jump", "n")),
        ("wn:ice_cream.n.ice_cream.n.01", Told("ice cream", "n")),
        ("wn:a.m..adv.ante_meridiem.r.01", Told("a.m.", "r")),
        ("wp:egg.n.ac778710", Told("egg", "n")),
        ("bank.n.02", Told("bank", "n")),
        ("bark#tree", Told("bark", None)),
        ("#odd", Told(None, None)),
        ("s1", Told(None, None)),
        ("", Told(None, None)),
    ],
)
def test_lemma_and_part_of_speech_are_read_from_a_sense_id(sense_id: str, told: Told) -> None:
    assert told_by(sense_id) == told


def test_parts_of_speech_go_by_many_names() -> None:
    assert [pos_named(name) for name in ("NOUN", "adj", "s", "Adverb", "v", "interjection", "", None)] == [
        *("n", "a", "a", "r", "v"),
        *(None, None, None),
    ]
