"""The sets of signs: which a terminal gets, that signs of one kind differ, and that ASCII is ASCII."""

from __future__ import annotations

import pytest
from msgspec.structs import asdict
from rich.cells import cell_len

from console.glyphs import (
    ASCII,
    BLOCKS,
    BRAILLE,
    SETS,
    STATE_NAMES,
    Glyphs,
    glyphs_for,
    is_plain_terminal,
    next_glyphs,
    to_ascii,
)


@pytest.mark.parametrize(
    ("encoding", "term", "chosen", "expected"),
    [
        ("utf-8", "xterm-256color", "auto", BRAILLE),
        ("UTF8", "tmux-256color", "auto", BRAILLE),
        ("iso8859-1", "xterm-256color", "auto", ASCII),
        ("ascii", "xterm", "auto", ASCII),
        ("nonsense", "xterm", "auto", ASCII),
        ("utf-8", "dumb", "auto", ASCII),
        ("utf-8", "linux", "auto", ASCII),
        ("utf-8", "", "auto", ASCII),
        ("utf-8", "linux", "blocks", BLOCKS),
        ("ascii", "dumb", "braille", BRAILLE),
    ],
)
def test_a_terminal_gets_the_signs_that_it_can_show_unless_others_are_chosen(
    encoding: str, term: str, chosen: str, expected: Glyphs
) -> None:
    assert glyphs_for(encoding, term, chosen) is expected


def test_terminals_that_would_print_a_question_are_known() -> None:
    assert not is_plain_terminal("xterm-256color") and not is_plain_terminal("tmux-256color")
    assert all(map(is_plain_terminal, ("linux", "dumb", "vt100", "")))


def test_a_key_goes_through_all_sets() -> None:
    assert [next_glyphs(one).name for one in SETS] == ["blocks", "ascii", "braille"]


@pytest.mark.parametrize("glyphs", SETS)
def test_signs_of_one_kind_differ_and_are_one_cell_wide(glyphs: Glyphs) -> None:
    assert len(set(glyphs.states)) == len(STATE_NAMES)
    assert len({glyphs.every, glyphs.most, glyphs.few, glyphs.none}) == 4
    assert len(set(glyphs.levels)) == len(glyphs.levels) == 8
    assert all(cell_len(sign) == 1 for text in asdict(glyphs).values() for sign in text)


def test_every_sign_has_one_in_ascii_and_letters_of_other_scripts_stay() -> None:
    for text in asdict(BRAILLE).values():
        assert to_ascii(text).isascii() and len(to_ascii(text)) == len(text), text
    assert all(text.isascii() for text in asdict(ASCII).values())
    assert to_ascii("▶ running │ ⣀⡠ Überbau – 東") == "> running | ** Überbau - 東"
    assert to_ascii(BRAILLE.states) == ASCII.states and BRAILLE.state("failed") == "✗"
