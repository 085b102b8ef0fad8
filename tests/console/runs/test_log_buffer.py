"""The log buffer: bounded, the same however its bytes are cut, and lines as a terminal would leave them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.runs.log_buffer import MAX_LINE_BYTES, MAX_LINES, LogBuffer

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
