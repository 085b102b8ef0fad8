"""A replay shows at any moment what was known then, forward and backward, and at its end what there is."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.local.experiment import find_experiment
from console.local.replay import SPEEDS, ReplaySession
from console.local.session import LocalSession
from console.runs import event_index
from console.runs.event_index import EventIndex
from console.runs.log_times import LogTimes
from console.runs.run_view import RunView, reduce
from engine.contract.events import Event, Stage, decode, encode
from engine.contract.experiment_reader import read_experiment
from engine.contract.run_folder import EVENTS, LOG, STATE
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.local_folder import write_run
from tests.console.results.capsules import row, write_capsule
from tests.console.ui.scenes import training

SCALING = read_experiment(find_config("scaling.toml"))
A, B, C = (RunId(name, 42) for name in "ABC")
START = 1000.0


def log_of(steps: int) -> bytes:
    """A log without timestamps, as the engine wrote it, a line for each tenth step."""
    lines = [
        "[data] v2.2",
        "[train]",
        "a line of something else",
        *(f"  step {step}/200 loss" for step in range(10, steps + 1, 10)),
    ]
    return "".join(line + "\n" for line in lines).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run after another, and one that was still running when its copy was written."""
    write_run(tmp_path, SCALING, "demo", A, training(200), start=START, log=log_of(200))
    write_run(tmp_path, SCALING, "demo", B, training(100), start=START + 300, state="failed", log=log_of(100))
    write_run(tmp_path, SCALING, "demo", C, training(40), start=START + 200, state="running", sealed=False)
    return tmp_path


async def loaded(folder: Path, speed: float = 60.0) -> ReplaySession:
    """A replay that has read the folder and stands still at its beginning."""
    session = ReplaySession(find_experiment(folder), speed)
    session.paused = True
    await asyncio.wait_for(session.load(), 20)
    return session


def events_of(folder: Path, run: RunId) -> list[Event]:
    own = folder / str(run)
    own = own if own.exists() else next((folder / ".live" / str(run)).iterdir())
    return [decode(line) for line in (own / EVENTS).read_bytes().splitlines()]


async def test_at_any_moment_forward_and_backward_a_view_is_the_events_up_to_then(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_index, "_KEPT_EVERY", 16)
    session = await loaded(folder)
    chance = random.Random(7)
    moments = [0.0, session.length, *(chance.uniform(0, session.length) for _ in range(60))]
    for moment in moments:
        session.show_now(moment)
        for run in (A, B, C):
            events = [one for one in events_of(folder, run) if one.t <= session._begin + moment]
            shown = session._replayed[run].view
            assert replace(shown, state=None) == reduce(RunView(run), events), (run, moment)


async def test_at_the_end_it_is_what_there_is(folder: Path) -> None:
    live = LocalSession(find_experiment(folder))
    live._refresh()
    live._notify()
    session = await loaded(folder)
    session.go_to(session.length)
    session.show_now(session.length)
    session._notify()
    assert session.snapshot.runs == live.snapshot.runs
    assert session.snapshot.sync_states[A] == live.snapshot.sync_states[A]
    for run in (A, B):
        session.log(run).catch_up()
        live.log(run).catch_up()
        assert list(session.log(run).lines()) == list(live.log(run).lines())


async def test_states_follow_the_times_that_the_host_recorded(folder: Path) -> None:
    session = await loaded(folder)
    states = {}
    for moment in (0.0, 4.9, 5.0, 9.9, 400.0, 10_000.0):
        session.show_now(min(moment, session.length))
        states[moment] = [session._replayed[run].view.state_name for run in (A, B, C)]
    assert states[0.0] == ["queued", "none", "none"]
    assert states[5.0] == ["running", "none", "none"]
    assert states[400.0] == ["finished", "running", "running"]
    assert states[10_000.0] == ["finished", "failed", "running"]


async def test_the_log_has_the_lines_written_until_then(folder: Path) -> None:
    session = await loaded(folder)
    log = session.log(A)
    for step in (150, 60, 200):
        event = next(one for one in events_of(folder, A) if getattr(one.body, "step", 0) == step)
        session.show_now(event.t - session._begin)
        log.catch_up()
        assert log.line(log.total - 1).text.strip() == f"step {step}/200 loss"


def test_a_log_with_timestamps_needs_no_events(tmp_path: Path) -> None:
    path = tmp_path / LOG
    path.write_text("1970-01-01T00:16:40Z INFO one\nof the same time\n1970-01-01T00:16:50Z INFO two\n")
    times = LogTimes(path)
    first = len("1970-01-01T00:16:40Z INFO one\nof the same time\n")
    assert [times.size_at(at) for at in (999.9, 1000.0, 1009.9, 1010.0)] == [0, first, first, path.stat().st_size]


def test_a_clock_that_was_set_back_hides_no_event_and_bad_lines_are_counted_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / EVENTS
    lines = [encode(Event(seq, time, Stage("data", str(seq)))) for seq, time in enumerate((10.0, 20.0, 5.0, 30.0))]
    lines[2:2] = [b"no event\rat all", b"x" * (event_index.MAX_EVENT_LINE + 5)]
    path.write_bytes(b"\n".join(lines) + b"\n" + b'{"seq":4')
    index = EventIndex(path, RunView(A))
    assert list(index.times) == [10.0, 20.0, 20.0, 20.0, 20.0, 30.0]
    views = [index.view(count) for count in range(7)]
    assert [view.rejected for view in views] == [0, 0, 0, 1, 2, 2, 2]
    assert [view.stage_note for view in views] == ["", "0", "1", "1", "1", "2", "3"]
    assert index.view(5, views[1], 1) == views[5]


async def test_going_on_reads_each_event_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay from beginning to end decodes as many events as there are, however many steps it takes."""
    session = await loaded(folder)
    decoded: list[int] = []
    decode_lines = event_index.decode_lines

    def counted(lines: list[bytes]) -> list[Event | None]:
        found = decode_lines(lines)
        decoded.append(len(found))
        return found

    monkeypatch.setattr(event_index, "decode_lines", counted)
    for moment in range(int(session.length)):
        session.show_now(float(moment))
    assert sum(decoded) <= sum(len(events_of(folder, run)) for run in (A, B, C))


async def test_results_are_those_of_the_runs_that_had_finished(tmp_path: Path) -> None:
    rows = [row("r1", 1), row("c1", 1, kind="coherence")]
    for number, run in enumerate((A, B)):
        write_capsule(tmp_path, SCALING, run, rows)
        state = (tmp_path / str(run) / STATE).read_bytes().replace(b"0" * 32, b"0123456789abcdef" * 2)
        (tmp_path / str(run) / STATE).write_bytes(state)
        write_run(tmp_path, SCALING, "full", run, training(20), start=START + 100 * number)
    session = await loaded(tmp_path)
    counts = []
    for moment in (0.0, 60.0, session.length):
        session.show_now(moment)
        session._notify()
        counts.append([one.evaluated for one in session.results().conditions])
    assert counts == [[0, 0], [1, 0], [1, 1]]


async def test_a_file_that_cannot_be_read_costs_its_own_run_alone(folder: Path) -> None:
    (folder / str(A) / EVENTS).unlink()
    (folder / str(A) / EVENTS).mkdir()
    session = await loaded(folder)
    session.show_now(session.length)
    session._notify()
    states = {run: session.snapshot.runs[run].state_name for run in (A, B, C)}
    assert states == {A: "none", B: "failed", C: "running"}
    assert EVENTS in session.snapshot.sync_states[A].note


async def test_the_line_that_says_where_it_is(folder: Path) -> None:
    session = await loaded(folder, speed=60.0)
    session.go_to(61.0)
    assert session.text == "replay 00:01:01 of 6:57, paused"
    session.toggle_pause()
    assert session.text == "replay 00:01:01 of 6:57, 60x"
    session.change_speed(1)
    assert session.speed == 120.0
    session.skip(-1)
    assert session.moment == 0.0
    session.go_to(1e9)
    assert session.paused, "at the end it stops"
    session.toggle_pause()
    assert (session.paused, session.moment) == (False, 0.0), "from there it begins again"


def test_speeds_change_within_what_there_is(folder: Path) -> None:
    session = ReplaySession(find_experiment(folder), speed=45.0)
    session.change_speed(-1)
    assert session.speed == 30.0
    session.change_speed(1)
    assert session.speed == 60.0
    for _ in SPEEDS:
        session.change_speed(1)
    assert session.speed == SPEEDS[-1]
