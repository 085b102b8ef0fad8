"""The sanitizer: whatever comes, nothing that steers a terminal gets through."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.sanitize import sanitize, sanitize_line

HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from("\x1b\x9b\x9d\x90[];?0123456789mHJ\x07\\\x7f\x00\r\n\t\u202e\u2066\u200bab"), st.characters()
    )
)
BIDI = {"RLE", "LRE", "RLO", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI"}


@settings(max_examples=1000)
@given(HOSTILE)
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    for character in sanitize(text):
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs"), repr(character)
        assert unicodedata.bidirectional(character) not in BIDI


@given(HOSTILE)
def test_sanitizing_twice_is_sanitizing_once(text: str) -> None:
    assert sanitize(sanitize(text)) == sanitize(text)


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_plain_text_of_any_language_stays(text: str) -> None:
    assert sanitize(text) == text


@pytest.mark.parametrize(
    ("hostile", "safe"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1b]52;c;ZXZpbA==\x07clip", "clip"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$tx\x1b\\dcs", "dcs"),
        ("\x1b(0line", "line"),
        ("half \x1b[", "half "),
        ("user\u202egnp.exe", "usergnp.exe"),
    ],
)
def test_known_tricks(hostile: str, safe: str) -> None:
    assert sanitize(hostile) == safe


def test_a_long_line_is_cut_with_a_mark() -> None:
    line = sanitize_line("x" * 1_000_000, limit=100)
    assert line.startswith("x" * 100) and "1,000,000 characters" in line and len(line) < 140
