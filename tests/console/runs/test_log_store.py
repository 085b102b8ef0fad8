"""The log store: the same however its file grows, lines as a terminal would leave them, found by row, error and step."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.runs import log_index
from console.runs.log_store import LogStore
from console.runs.log_text import MAX_LINE_BYTES, LogLine
from tests.console.fed_log import FedLog, texts

PARTS = [
    b"12%",
    b"\r",
    b"\n",
    b"\r\n",
    b"x",
    b"ERROR",
    b"Traceback (most recent call last):\n",
    b"step 12/90",
    b"\xff",
    b"y" * 9000,
]
LOGS = st.lists(st.sampled_from(PARTS) | st.binary(max_size=9), max_size=80).map(b"".join)


def state(log: LogStore) -> tuple[list[LogLine], list[tuple[int, int]], int, int]:
    rows = [log.row_lines(row) for row in range(log.rows)]
    return list(log.lines()), rows, log.errors, log.warnings


@settings(max_examples=60, deadline=None)
@given(LOGS, st.lists(st.integers(1, 400), min_size=1))
def test_a_log_is_the_same_however_it_grows(content: bytes, sizes: list[int]) -> None:
    whole, parts = FedLog(), FedLog()
    whole.feed(content)
    whole.catch_up()
    start = 0
    while start < len(content):
        size = sizes[start % len(sizes)] * (1 + len(content) // 1000)
        parts.feed(content[start : start + size])
        parts.catch_up()
        start += size
    assert state(parts) == state(whole) and parts.partial == whole.partial
    for log in (whole, parts):
        log.end()
        log.catch_up()
    assert state(parts) == state(whole)
    for row, (first, last) in enumerate(state(whole)[1]):
        assert whole.row_of_line(first) == whole.row_of_line(last) == row


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"10%\r20%\r30%\n", ["30%"]),
        (b"\r 1/3\r 2/3\r 3/3\ndone\n", [" 3/3", "done"]),
        (b"windows\r\nplain\n", ["windows", "plain"]),
        (b"epoch 1 step 1/9 loss 0.5\nepoch 1 step 2/9 loss 0.25\nend\n", ["epoch 1 step 2/9 loss 0.25", "end"]),
        (b"step 1/9 loss 0.5\nstep 2/9 loss nan\n", ["step 1/9 loss 0.5", "step 2/9 loss nan"]),
        (b"ERROR 1/3 lost\nERROR 2/3 lost\n", ["ERROR 1/3 lost", "ERROR 2/3 lost"]),
        (b"read /a/1\nread /a/2\n", ["read /a/1", "read /a/2"]),
        (b"Killed 1\nKilled 2\n", ["Killed 1", "Killed 2"]),
    ],
)
def test_progress_takes_one_row_that_shows_its_last_state(content: bytes, rows: list[str]) -> None:
    log = FedLog()
    log.feed(content)
    log.catch_up()
    assert [log.line(log.row_lines(row)[1]).text for row in range(log.rows)] == rows


def test_a_last_line_without_an_end_is_a_line_once_nothing_more_comes() -> None:
    log = FedLog()
    log.feed(b"one\nKilled")
    assert texts(log) == ["one"] and log.partial == "Killed"
    for _ in range(2):
        log.end()
        assert texts(log) == ["one", "Killed"] and log.total == 2 and not log.behind


def test_levels_times_and_steps_are_those_of_the_line_or_of_what_is_above_it() -> None:
    log = FedLog()
    log.feed(
        b"old line\n2026-11-27T10:00:00Z INFO  step 5/9\nTraceback (most recent call last):\n  File x\nValueError: no\n"
        b"2026-11-27 10:00:02,5 WARNING: hot\nplain\n"
    )
    log.catch_up()
    lines = list(log.lines())
    assert [line.text for line in lines][1] == "INFO  step 5/9" and lines[5].text == "WARNING: hot"
    assert [line.level for line in lines] == ["", "info", "error", "error", "error", "warning", ""]
    assert [line.continued for line in lines] == [False, False, False, True, True, False, False]
    start = 1795773600.0
    assert [line.time for line in lines] == [None, *[start] * 4, start + 2.5, start + 2.5]
    assert (log.errors, log.warnings) == (1, 1)
    assert [log.step_of_line(number) for number in range(7)] == [5] * 7


def test_errors_and_steps_are_found_across_blocks_and_of_a_resumed_run_the_later_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_index, "BLOCK_BYTES", 200)
    log = FedLog()
    attempts = [*range(0, 100), *range(50, 200)]
    for at, step in enumerate(attempts):
        log.feed(f"{'ERROR ' if at in (30, 120) else ''}step {step} of it\n".encode())
        log.catch_up()
    assert len(log.index) > 10
    assert [log.line_of_step(step) for step in (20, 60, 99, 199, 500)] == [20, 110, 149, 249, 249]
    assert (log.next_error(0, 1), log.next_error(30, 1), log.next_error(120, 1)) == (30, 120, None)
    assert (log.next_error(249, -1), log.next_error(120, -1), log.next_error(30, -1)) == (120, 30, None)


def test_a_long_log_keeps_its_lines_and_a_bounded_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_index, "BLOCK_BYTES", 100)
    monkeypatch.setattr(log_index, "MAX_BLOCKS", 8)
    log = FedLog()
    for number in range(500):
        log.feed(f"line {number}, {number % 100}%\n".encode() if number % 3 else b"ERROR at step 7\n")
        log.catch_up()
    assert len(log.index) <= 8 and log.index.merges > 2
    assert log.total == 500 and log.errors == 167 and log.rows == 167 * 2
    assert [line.text for line in log.lines(400, 402)] == ["line 400, 0%", "line 401, 1%"]
    assert [log.row_of_line(number) for number in (0, 1, 2, 3)] == [0, 1, 1, 2]


def test_a_line_of_megabytes_is_cut_and_what_follows_is_in_its_place() -> None:
    log = FedLog()
    log.feed(b"first\n" + b"x" * (10 << 20) + b"\nlast\n")
    shown = texts(log)
    assert len(shown) == 3 and shown[0] == "first" and shown[2] == "last"
    assert shown[1].startswith("x" * MAX_LINE_BYTES) and shown[1].endswith("(cut after 4,000 bytes)")


def test_a_carriage_return_that_comes_after_a_long_line_is_not_lost() -> None:
    log = FedLog()
    for part in (b"y" * 20_000, b"\r", b"done\n"):
        log.feed(part)
        log.catch_up()
    assert [line[-4:] for line in texts(log)] == ["tes)", "done"] and log.rows == 1


def test_hostile_lines_are_safe_to_show() -> None:
    log = FedLog()
    log.feed(
        b"\x1b]0;t\x07a\x1b[2Jb\n\x00nul\xff\n[bold]m[/]\n"
        + "bidi\u202eevil zero\u200bwidth\n".encode()
        + b"\x1b[31mERROR\x1b[0m red\nloss nan\n"
    )
    assert texts(log) == ["ab", "nul\ufffd", "[bold]m[/]", "bidievil zerowidth", "ERROR red", "loss nan"]
    assert log.errors == 1


def test_the_log_of_another_launch_takes_its_place_even_unannounced(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"old 1\nold 2\n")
    log = LogStore(path)
    assert texts(log) == ["old 1", "old 2"]
    path.write_bytes(b"new\n")
    assert log.behind and texts(log) == ["new"] and log.opened == 1
    log.open(None)
    assert texts(log) == [] and not log.behind
    path.unlink()
    path.mkdir()
    log.open(path)
    assert texts(log) == [] and "it is a folder" in log.error
