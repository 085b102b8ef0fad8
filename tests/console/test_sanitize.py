"""The sanitizer: whatever comes, nothing that steers a terminal gets through."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.runs.log_buffer import MAX_LINE_BYTES, MAX_LINES, LogBuffer
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


LOGS = st.binary(max_size=300) | st.lists(st.sampled_from([b"\r", b"\n", b"10%", b"x"]), max_size=60).map(b"".join)


@given(LOGS, st.lists(st.integers(0, 300)))
def test_a_log_comes_out_the_same_however_it_is_cut(content: bytes, cuts: list[int]) -> None:
    whole, parts = LogBuffer(), LogBuffer()
    whole.feed(content)
    edges = [0, *sorted(cuts), len(content)]
    for start, end in pairwise(edges):
        parts.feed(content[start:end])
    assert list(parts.lines) == list(whole.lines) and parts.total == whole.total
    whole.end()
    parts.end()
    assert list(parts.lines) == list(whole.lines) and parts.total == whole.total


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"10%\r20%\r30%\n"], ["30%"]),
        ([b"10%\r", b"20%\r", b"\n"], ["20%"]),
        ([b"windows\r\n", b"plain\n"], ["windows", "plain"]),
        ([b"x" * MAX_LINE_BYTES + b"yz\r", b"done\r\n"], ["done"]),
        ([b"x\r" * MAX_LINE_BYTES, b"y\n"], ["y"]),
    ],
)
def test_of_a_progress_bar_the_last_state_stays(chunks: list[bytes], lines: list[str]) -> None:
    log = LogBuffer()
    for chunk in chunks:
        log.feed(chunk)
    assert list(log.lines) == lines


def test_a_last_line_without_an_end_is_a_line_once_nothing_more_comes() -> None:
    log = LogBuffer()
    log.feed(b"one\nKilled")
    assert list(log.lines) == ["one"]
    for _ in range(2):
        log.end()
        assert list(log.lines) == ["one", "Killed"] and log.total == 2


def test_a_log_is_bounded_in_lines_and_in_their_length() -> None:
    log = LogBuffer()
    for _ in range(200):
        log.feed(b"y" * 100_000)
    log.feed(b"\n" + b"line\n" * (MAX_LINES + 5))
    assert len(log.lines) == MAX_LINES and log.total == MAX_LINES + 6
    log.clear()
    log.feed(b"z" * (MAX_LINE_BYTES + 7) + b"\n")
    assert log.lines[0].endswith("(+7 bytes)")
