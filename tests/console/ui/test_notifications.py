"""Notifications: ends, failures and a lost host are told once, beside the screen only where that is wanted and safe."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.runs.run_view import RunView
from console.runs.snapshot import Snapshot
from console.runs.transitions import Transition
from console.ui.app import ConsoleApp
from console.ui.notifications import MAX_TEXT, NotifyCommand, TerminalSignals, messages, title_text
from console.user_settings import NotifySettings, UserSettings
from engine.contract.settings import RunId
from engine.contract.state import RunState
from tests.console.local_folder import write_run
from tests.console.terminal import Terminal
from tests.console.ui.driving import (
    HOSTILE,
    SIZES,
    SMALL,
    asked,
    console,
    notices,
    record_notices,
    until,
    until_shown,
)
from tests.console.ui.fake_session import SCALING, FakeSession
from tests.console.ui.scenes import finished, view_of


def one_running() -> tuple[FakeSession, RunId]:
    """A session whose first run is running, and that run."""
    session = FakeSession()
    run, *_ = session.snapshot.runs
    session.show(view_of(run, "running"))
    return session, run


@SIZES
async def test_each_end_is_told_and_the_last_one_says_where_the_verdict_is(size: tuple[int, int]) -> None:
    session = FakeSession()
    *others, last = session.snapshot.runs
    session.show(*(finished(run) for run in others), view_of(last, "running"))
    async with console(session, size) as pilot:
        await until_shown(pilot, "1 running", "8 finished")
        assert notices(pilot) == [], "what was so when the console opened is no news"
        session.show(view_of(last, "failed", reason="CUDA out of memory"))
        await until_shown(pilot, "C/456 failed: CUDA out of memory.", "All 9 runs ended: 4 shows the verdict.")
        await pilot.press("4")
        await until_shown(pilot, ">4 Results<")
        assert len(notices(pilot)) == 2


async def test_a_lost_host_is_told_once_and_so_is_its_return() -> None:
    session = FakeSession()
    async with console(session) as pilot:
        session.show(link="lost", detail=HOSTILE)
        await until(pilot, lambda: notices(pilot) == [f"this machine: the link is lost: {HOSTILE}."])
        session.show(link="lost", detail="connecting")
        session.show(link="up", detail="")
        await until(pilot, lambda: notices(pilot)[1:] == ["this machine: the link is back."])


async def test_another_experiment_that_is_shown_has_no_news() -> None:
    session, run = one_running()
    async with console(session) as pilot:
        await until_shown(pilot, "1 running")
        session.snapshot = replace(session.snapshot, folder="scaling")
        session.show(finished(run))
        await until_shown(pilot, "1 finished")
        session.show(view_of(run, "failed", key="other"))
        await until(pilot, lambda: notices(pilot) == [f"{run.label} failed."])


async def test_an_abort_of_this_console_is_told_by_its_outcome_alone() -> None:
    session, _ = one_running()
    async with console(session) as pilot:
        await until_shown(pilot, "1 running")
        await pilot.press("x")
        await until(pilot, lambda: asked(pilot))
        await pilot.press("y")
        await until(pilot, lambda: len(notices(pilot)) == 2)
        assert set(notices(pilot)) == {
            "Aborted 1 run.",
            "The launched run ended, 8 not launched: 4 shows the verdict.",
        }


async def test_bell_desktop_note_and_command_follow_the_settings(tmp_path: Path) -> None:
    (session, run), told = one_running(), tmp_path / "told"
    script = "import sys; open(sys.argv[1], 'a').write(repr(sys.argv[2:]))"
    argv = (sys.executable, "-c", script, str(told), "{title}", "<{text}>")
    settings = UserSettings(notify=NotifySettings(command=argv, bell=True, osc9=True))
    app = ConsoleApp(lambda _: session, SCALING, "demo", "here", False, settings=settings)
    written: list[str] = []
    app.terminal_writer = lambda: written.append  # type: ignore[method-assign]
    record_notices(app)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until_shown(pilot, "1 running")
        await until(pilot, lambda: written == ["\x1b[22;2t\x1b]2;1 running\x1b\\"])
        session.show(view_of(run, "failed", reason="\x1b]0;evil\x07--help $(reboot)"))
        await until(pilot, told.exists, "the command has run")
        text = "A/42 failed: --help $(reboot); The launched run ended, 8 not launched: 4 shows the verdict"
        await until(pilot, lambda: told.read_text() == repr(["qllm-console: scaling-demo", f"<{text}>"]))
        assert written[1:] == ["\x1b]2;1 failed\x1b\\", "\a", f"\x1b]9;{text}\x1b\\"]
    assert written[-1] == "\x1b[23;2t", "the title before is given back"


async def test_without_a_terminal_nothing_is_written_to_it() -> None:
    async with console(FakeSession()) as pilot:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        assert app.terminal_writer() is None


def test_many_that_end_alike_at_once_are_one_message() -> None:
    ends = tuple(Transition("aborted", f"A/{seed} aborted", RunId("A", seed)) for seed in range(1000))
    assert [one.text for one in messages(ends)] == ["1,000 runs aborted"]
    assert messages(ends, frozenset(one.run for one in ends if one.run)) == ()
    started = Transition("started", "A/1 started", RunId("A", 1))
    assert messages((started, *ends[:1])) == messages(ends[:1])


def test_the_title_counts_what_there_is() -> None:
    snapshot = FakeSession().snapshot
    assert title_text(snapshot, 0.0) == "9 to launch"
    runs = list(snapshot.runs)
    states = ["running"] * 2 + ["finished"] * 6 + ["failed"]
    views = {run: RunView(run, RunState(state, "k")) for run, state in zip(runs, states, strict=True)}  # type: ignore[arg-type]
    shown: Snapshot = replace(snapshot, runs=views)
    assert title_text(shown, 0.0) == "2 running, 6 done, 1 failed"
    later = snapshot.host.last_reply_at + 300
    assert title_text(shown, later) == "2 running, 6 done, 1 failed (as of 5 min ago)"


def test_within_tmux_a_desktop_note_is_passed_through_and_no_text_ends_its_sequence() -> None:
    written: list[str] = []
    TerminalSignals(written.append, in_tmux=True).desktop_note("a\x1b\\\x07b" + "c" * 1000)
    (sequence,) = written
    assert sequence.startswith("\x1bPtmux;\x1b\x1b]9;ab")
    assert sequence.endswith("\x1b\x1b\\\x1b\\")
    assert sequence.count("\x1b") == 6
    assert len(sequence) < MAX_TEXT + 60


async def test_a_command_that_fails_is_noticed_once() -> None:
    errors: list[str] = []
    command = NotifyCommand(("/nonexistent/notify",), errors.append, every_s=0.0)
    await command.notify("title", "one")
    await command.notify("title", "two")
    assert errors == ["The command of [notify] in settings.toml failed: /nonexistent/notify: No such file or directory"]


async def test_what_happens_while_the_command_runs_is_told_together(tmp_path: Path) -> None:
    """However much happens, one process runs at a time."""
    pipe, told = tmp_path / "pipe", tmp_path / "told"
    script = "import sys; open(sys.argv[2]).read(); open(sys.argv[1], 'a').write(sys.argv[3] + '|')"
    command = NotifyCommand((sys.executable, "-c", script, str(told), str(pipe)), print, every_s=0.0)
    pipe.write_text("")
    running = asyncio.create_task(command.notify("t", "first"))
    await asyncio.sleep(0)
    for number in range(6):
        await command.notify("t", f"text {number}")
    await asyncio.wait_for(running, 20)
    assert told.read_text() == "first|text 0; text 1; text 2 and 3 more|"


@pytest.mark.server
def test_a_real_terminal_has_its_title_back_when_the_console_is_left(tmp_path: Path) -> None:
    write_run(tmp_path, SCALING, "demo", RunId("A", 42))
    with Terminal([sys.executable, "-m", "console.cli", "view", str(tmp_path)], {"HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("A/42", 30)
        terminal.wait_for_bytes(b"\x1b]2;1 done\x1b\\", 30)
        terminal.press("q", "", 10)
        terminal.wait_for_bytes(b"\x1b[23;2t", 30)
