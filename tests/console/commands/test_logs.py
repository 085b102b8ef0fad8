"""``qllm-console logs``: of local copies, filtered, and followed until the runs have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

import pytest

from console import exit_codes
from console.cli import main
from console.commands.logs import logs
from console.runs.log_store import LogStore
from console.runs.snapshot import Snapshot
from console.session import Session
from engine.contract.settings import RunId
from tests.console.commands.json_checker import checked
from tests.console.commands.scripted import A42, A123, ScriptedSession, scripted_context, shown

LOG = b"""2026-01-02 03:04:05 INFO begins
step 1\x1b[31m loss 2.5
 1% |#   | 1/100\r 50% |##  | 50/100\r100% |####| 100/100
2026-01-02 03:04:09 WARNING slow
Traceback (most recent call last):
  File "x.py", line 1
ValueError: bad
step 2 loss 2.4
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for run, content in ((A42, LOG), (A123, b"other step 1\n")):
        folder = tmp_path / "scaling" / str(run)
        folder.mkdir(parents=True)
        (folder / "state.json").write_text('{"state": "finished", "key": "k"}')
        (folder / "log.txt").write_bytes(content)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], runs: Path, *arguments: str) -> list[str]:
    with pytest.raises(SystemExit) as end:
        main(["logs", "--runs", str(runs), *arguments])
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    return out.splitlines()


def test_a_log_is_printed_safely_and_progress_is_one_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, runs, "A/42")
    assert [line.partition("  ")[2] or line for line in lines][:4] == [
        "INFO begins", "step 1 loss 2.5", "100% |####| 100/100", "WARNING slow",
    ]  # fmt: skip
    assert not any("\x1b" in line or " 50%" in line for line in lines)
    assert printed(capsys, runs, "A_seed42", "--tail", "1") == lines[-1:]


def test_several_logs_have_the_name_of_their_run_before_each_line(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(capsys, runs, "--condition", "A", "--grep", "step")
    assert [line.split()[0] for line in lines] == ["A/42", "A/42", "A/123"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--level", "warning"), ["WARNING slow", "Traceback", "File", "ValueError"]),
        (("--level", "error"), ["Traceback", "File", "ValueError"]),
        (("--grep", "/step \\d/ !2.4"), ["step 1"]),
        (("--grep", "nowhere"), []),
    ],
)
def test_lines_are_chosen_by_level_and_by_the_query_of_view_3(
    runs: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: list[str]
) -> None:
    lines = printed(capsys, runs, "A/42", *arguments)
    assert len(lines) == len(expected) and all(text in line for text, line in zip(expected, lines, strict=True))


def test_as_ndjson_each_line_has_its_number_time_level_and_step(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [checked(line) for line in printed(capsys, runs, "A/42", "--json")]
    assert (lines[1]["number"], lines[1]["step"], lines[1]["text"]) == (1, 1, "step 1 loss 2.5")
    assert [one["level"] for one in lines[3:5]] == ["warning", "error"] and lines[0]["time"] == lines[1]["time"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("A/7",), "RUN: no run 'A/7'; known: A/42, A/123, A/456, B/42"),
        (("--grep", "/(/"), "--grep: "),
        (("--tail", "0"), "--tail: 0 is less than 1"),
    ],
)
def test_wrong_input_is_one_line(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["logs", *arguments])
    err = capsys.readouterr().err
    assert end.value.code == 2 and err.startswith(f"qllm-console: error: {expected}") and err.count("\n") == 1


class _Polls(asyncio.Event):
    """Set by each poll; whoever clears it waits for the next one."""

    def __init__(self, poll: Callable[[], None]) -> None:
        super().__init__()
        self._poll = poll

    def clear(self) -> None:
        super().clear()
        asyncio.get_running_loop().call_soon(self._poll)


class _LoggingSession(ScriptedSession):
    """With every poll the next snapshot is there, and the log of A/42 has a line more."""

    def __init__(self, script: Iterable[Snapshot], path: Path) -> None:
        super().__init__(script)
        self._path = path
        self._logs = {A42: LogStore(path)}
        self.ready = _Polls(self._poll)

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None: ...

    def log(self, run: RunId) -> LogStore:
        return self._logs.setdefault(run, LogStore())

    def _poll(self) -> None:
        self.snapshot = next(self._script)
        with self._path.open("a") as file:
            file.write(f"now {self.snapshot.runs[A42].state_name}\n")
        self.ready.set()


def test_followed_it_prints_the_end_of_the_log_and_what_comes_until_the_run_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    path.write_text("".join(f"line {number}\n" for number in range(30)))
    script = [shown({A42: state}) for state in ("queued", "running", "finished")]
    context = scripted_context(["logs", "A/42", "-f", "--tail", "3"], script)
    monkeypatch.setattr(context, "session", lambda: cast(Session, _LoggingSession(script, path)))
    assert logs(context) == exit_codes.DONE
    assert capsys.readouterr().out.splitlines() == ["line 27", "line 28", "line 29", "now running", "now finished"]
