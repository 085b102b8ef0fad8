"""The lines that are shown: the filter's words, and the bounded buffer's past that goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.runs.log_buffer import MAX_LINES, LogBuffer
from console.ui.live.log_filter import LogFilter, ShownLines


@pytest.mark.parametrize(
    ("text", "line", "admitted"),
    [
        ("", "anything", True),
        ("loss", "epoch 1 LOSS 0.3", True),
        ("loss", "epoch 1", False),
        ("loss !nan", "loss nan", False),
        ("loss !nan", "loss 0.3", True),
        ("!", "anything", True),
        ("a b", "b a", True),
        ("[bold", "[bold]x", True),
    ],
)
def test_words_admit_and_leave_out(text: str, line: str, admitted: bool) -> None:
    assert LogFilter.parse(text).admits(line) is admitted


def test_new_lines_come_and_old_lines_go() -> None:
    buffer = LogBuffer()
    shown = ShownLines(buffer, LogFilter())
    assert shown.update() == (False, 0)
    buffer.feed(b"one\ntwo\nthr")
    assert shown.update() == (True, 0)
    assert [line for _, line in shown.lines] == ["one", "two"]
    buffer.feed(b"ee\n" + b"x\n" * MAX_LINES)
    changed, gone = shown.update()
    assert changed
    assert gone == 2
    assert len(shown.lines) == MAX_LINES
    assert shown.lines[0][0] == 3


def test_a_log_that_began_anew_is_shown_anew() -> None:
    buffer = LogBuffer()
    shown = ShownLines(buffer, LogFilter())
    buffer.feed(b"old\nold\n")
    shown.update()
    buffer.clear()
    assert shown.update() == (True, 2)
    buffer.feed(b"new\n")
    shown.update()
    assert [line for _, line in shown.lines] == ["new"]


@given(st.lists(st.lists(st.sampled_from(["loss 1", "nan", "loss nan", "x"]), max_size=30), max_size=8))
def test_filtering_as_it_comes_equals_filtering_at_the_end(chunks: list[list[str]]) -> None:
    buffer, wanted = LogBuffer(), LogFilter.parse("loss !nan")
    shown = ShownLines(buffer, wanted)
    for chunk in chunks:
        buffer.feed("".join(f"{line}\n" for line in chunk).encode())
        shown.update()
    assert [line for _, line in shown.lines] == [line for line in buffer.lines if wanted.admits(line)]
