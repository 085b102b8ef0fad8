"""``qllm-console watch``: lines, NDJSON, or one table drawn again; never more than the terminal has room for."""

from __future__ import annotations

import pytest

from console import exit_codes
from console.cli import main
from console.commands.watch import _Screen, watch, watch_lines
from tests.console.commands.json_checker import checked
from tests.console.commands.scripted import A42, A123, RUNS, scripted_context, shown

SCRIPT = [
    shown({A42: "queued"}),
    shown({A42: "running"}),
    shown({A42: "running"}, link="lost"),
    shown({A42: "finished", A123: "queued"}),
]


def test_as_ndjson_it_prints_the_state_and_then_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert watch(scripted_context(["watch", "--json"], SCRIPT)) == exit_codes.UNREACHABLE
    first, *changes = [checked(line) for line in capsys.readouterr().out.splitlines()]
    assert first["schema"] == "qllm-console.status" and first["runs"][0]["state"] == "queued"
    assert {one["command"] for one in (first, *changes)} == {"watch"}
    assert [(one["kind"], one["run"] and one["run"]["seed"]) for one in changes] == [
        ("started", 42), ("host lost", None), ("host back", None), ("finished", 42), ("queued", 123),
    ]  # fmt: skip


def test_into_a_pipe_it_prints_the_table_once_and_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    watch(scripted_context(["watch"], SCRIPT))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("condition  seed  state") and sum("condition" in line for line in lines) == 1
    assert [line.split("  ", 1)[1] for line in lines[-2:]] == ["A/42 finished", "A/123 queued"]


def test_on_a_terminal_the_table_is_drawn_over_the_one_before(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "8")
    screen = _Screen()
    screen.draw(shown({A42: "queued"}))
    screen.draw(shown({A42: "running"}))
    first, second = capsys.readouterr().out.split("\x1b[J")[1:]
    assert first.count("\n") == 7 and "A          42    queued" in first
    assert first.endswith("\x1b[7F") and "A          42    running" in second


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 5), (20, 3)])
def test_the_table_fits_the_terminal(columns: int, rows: int) -> None:
    lines = watch_lines(shown(dict.fromkeys(RUNS, "running")), columns, rows, "12:00:00")
    assert len(lines) <= rows and all(len(line) <= columns for line in lines)
    assert lines[0].startswith("12:00:00  the box")


def test_for_programs_an_error_is_a_line_of_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["wait", "--until", "x", "--progress", "ndjson"])
    (line,) = capsys.readouterr().err.splitlines()
    body = checked(line)
    assert end.value.code == 2 and (body["kind"], body["command"]) == ("error", "wait")
    assert "'x' is not one of: finished" in body["text"]
