"""Launch, abort, take over and quit by key, with a question where something would be lost."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from textual.widgets import Static

from console.hosts.ssh.prompts import Prompter
from console.runs.launch_attempts import Outcome
from console.runs.run_view import RunView
from console.runs.set_aside import SetAside, SetAsideLaunch
from console.runs.snapshot import SyncState
from console.ui.app import ConsoleApp
from console.ui.commands import outcome_notice
from engine.contract.events import Checkpoint
from engine.contract.settings import RunId
from tests.console.ui.driving import LARGE, asked, console, notices, record_notices, screen, until, until_shown
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import finished, training, view_of

A42, A123, B42 = RunId("A", 42), RunId("A", 123), RunId("B", 42)


async def test_one_key_launches_all_nine() -> None:
    session = FakeSession()
    async with console(session) as pilot:
        await until_shown(pilot, "No runs yet: press a to launch all nine.")
        await pilot.press("a")
        await until_shown(pilot, "9 queued", "Launched 9 runs.")
    assert [len(plan.launch) for plan in session.launched] == [9]


async def test_one_run_and_one_condition_are_launched_from_the_cursor() -> None:
    session = FakeSession()
    async with console(session) as pilot:
        await pilot.press("down", "right", "l")
        await until(pilot, lambda: session.launched)
        await until_shown(pilot, "1 queued")
        await pilot.press("down", "L")
        await until(pilot, lambda: len(session.launched) == 2)
    assert session.launched[0].launch == (RunId("B", 123),)
    assert {run.condition for run in session.launched[1].launch} == {"C"}
    assert len(session.launched[1].launch) == 3


async def test_the_cursor_stops_at_the_edges_of_the_matrix() -> None:
    async with console(FakeSession()) as pilot:
        await pilot.press("left", "up", *["down"] * 5, *["right"] * 5)
        await until_shown(pilot, "C/456  · not launched")


async def test_launching_an_active_run_only_shows_a_notice() -> None:
    session = FakeSession()
    session.show(view_of(A42, "running", training(5)))
    async with console(session) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: notices(pilot))
        assert notices(pilot) == ["Nothing to launch: A/42 is already running."]
        assert not asked(pilot)
    assert not session.launched


@pytest.mark.parametrize(
    ("before", "aside"),
    [
        (finished(A42), "the results and checkpoint of A/42"),
        (replace(view_of(A42, "aborted"), checkpoint=Checkpoint(500, 2, "0" * 64)), "the checkpoint of A/42"),
    ],
)
async def test_restarting_asks_because_results_or_a_checkpoint_give_way(before: RunView, aside: str) -> None:
    session = FakeSession()
    session.show(before)
    async with console(session) as pilot:
        await pilot.press("r")
        await until(pilot, lambda: asked(pilot))
        question = str(pilot.app.screen.query_one("#question", Static).render())
        assert question == f"Launch A/42; sets aside {aside}, to be restored if wanted."
        assert not session.launched
        await pilot.press("y")
        await until(pilot, lambda: session.launched)
    assert session.launched[0].launch == (A42,)


async def test_launching_what_finished_with_these_settings_only_shows_a_notice() -> None:
    session = FakeSession()
    session.show(finished(A42))
    async with console(session) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: "finished with these settings" in "".join(notices(pilot)))
        assert not asked(pilot)
    assert not session.launched


async def test_what_a_restart_set_aside_is_brought_back_by_y() -> None:
    session = FakeSession()
    session.show(finished(A42))
    async with console(session) as pilot:
        await pilot.press("u")
        await until_shown(pilot, "Nothing was set aside of A/42.")
        newest = SetAsideLaunch("b" * 32, "finished", results=True, checkpoint=True)
        session.set_aside = SetAside("a" * 32, (newest, SetAsideLaunch("c" * 32)))
        await pilot.press("u")
        await until(pilot, lambda: asked(pilot))
        question = str(pilot.app.screen.query_one("#question", Static).render())
        assert question == (
            "Bring back launch bbbbbbbb of A/42 (finished; has results, checkpoint)? The present launch is set aside instead."
            " For 1 older one use qllm-console restore."
        )
        assert not session.restored
        await pilot.press("y")
        await until(pilot, lambda: session.restored)
        await until_shown(pilot, "Restored 1 run.")
    assert session.restored == [(A42, "b" * 32, "a" * 32)]


@pytest.mark.parametrize("key", ["x", "X"])
async def test_an_abort_is_carried_out_by_y(key: str) -> None:
    session = FakeSession()
    session.show(view_of(A42, "running", training(5)), view_of(B42, "queued"))
    async with console(session) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: asked(pilot))
        question = str(pilot.app.screen.query_one("#question", Static).render())
        assert "End A/42 in mid-run" in question
        assert ("B/42" in question) is (key == "X")
        await pilot.press("y")
        await until_shown(pilot, "1 aborted" if key == "x" else "2 aborted")
    assert len(session.aborted) == 1


@pytest.mark.parametrize("answer", ["x", "X", "enter", "space", "a", "q", "1"])
async def test_no_other_key_than_y_aborts(answer: str) -> None:
    session = FakeSession()
    session.show(view_of(A42, "running", training(5)))
    async with console(session) as pilot:
        await pilot.press("X")
        await until(pilot, lambda: asked(pilot))
        await pilot.press(answer)
        await pilot.pause()
        assert asked(pilot), "the question must stay until it is answered"
        await pilot.press("n")
        await until(pilot, lambda: not asked(pilot))
    assert not session.aborted


@pytest.mark.parametrize("no", ["n", "escape"])
async def test_a_no_leaves_everything_as_it_is(no: str) -> None:
    session = FakeSession()
    session.show(view_of(A42, "running", training(5)))
    async with console(session) as pilot:
        await pilot.press("x")
        await until(pilot, lambda: asked(pilot))
        await pilot.press(no)
        await until(pilot, lambda: not asked(pilot))
        await until_shown(pilot, "running")
    assert not session.aborted


async def test_nothing_to_abort_shows_one_line() -> None:
    async with console(FakeSession()) as pilot:
        await pilot.press("X")
        await until(pilot, lambda: notices(pilot))
        assert notices(pilot) == ["Nothing to abort: 9 not launched."]
        assert not asked(pilot)


async def test_abort_of_a_run_that_has_ended_says_so_while_others_run() -> None:
    session = FakeSession()
    session.show(finished(A42), view_of(A123, "running", training(5)))
    async with console(session) as pilot:
        await pilot.press("x")
        await until(pilot, lambda: notices(pilot))
        assert notices(pilot) == ["Nothing to abort: A/42 is finished."]
        assert not asked(pilot)


async def test_a_run_says_aborting_in_its_cell_its_details_and_its_log_until_its_end_is_known() -> None:
    session = FakeSession()
    session.show(view_of(A42, "running", training(5)), view_of(A123, "running", training(5)))
    session.gate = asyncio.Event()
    async with console(session) as pilot:
        await pilot.press("x", "y")
        text = await until_shown(pilot, "A/42  ▶ aborting")
        assert "│▶ running" in text and "┃▶ aborting" in text
        await pilot.press("3")
        await until_shown(pilot, "A/42  ▶ aborting")
        await pilot.press("2")
        session.gate.set()
        text = await until_shown(pilot, "A/42  ■ aborted")
        assert "aborting" not in text


async def test_a_run_that_could_not_be_aborted_is_running_again() -> None:
    session = FakeSession()
    session.show(view_of(A42, "running", training(5)))
    session.gate = asyncio.Event()
    async with console(session) as pilot:
        await pilot.press("x", "y")
        await until_shown(pilot, "A/42  ▶ aborting")
        session.error = ConnectionError("there is no link to the host")
        session.gate.set()
        await until_shown(pilot, "A/42  ▶ running", "Could not abort")


@pytest.mark.parametrize("key", ["a", "l", "L", "r", "u", "x", "X"])
async def test_a_read_only_console_launches_and_aborts_nothing_and_shows_why(key: str) -> None:
    session = FakeSession()
    session.show(view_of(A42, "running", training(5)))
    async with console(session, read_only=True) as pilot:
        assert "read-only" in screen(pilot)
        await pilot.press(key)
        await until(pilot, lambda: notices(pilot))
        assert notices(pilot)[0].startswith("Read-only")
        assert not asked(pilot)
    assert not session.launched
    assert not session.aborted


async def test_a_command_over_a_broken_link_shows_the_error_and_can_be_repeated() -> None:
    session = FakeSession()
    session.error = ConnectionError("there is no link to the host [bold]now[/bold]")
    async with console(session) as pilot:
        await pilot.press("a")
        await until_shown(pilot, "Could not launch: ", "[bold]now[/bold]")
        session.error = None
        await pilot.press("a")
        await until_shown(pilot, "9 queued")


async def test_while_a_command_waits_the_console_shows_it_and_answers_keys() -> None:
    session = FakeSession()
    session.gate = asyncio.Event()
    async with console(session) as pilot:
        await pilot.press("a")
        await until_shown(pilot, "launching 9 runs")
        await pilot.press("a")
        await until(pilot, lambda: notices(pilot))
        assert "Still launching 9 runs" in notices(pilot)[0]
        await pilot.press("1")
        await until_shown(pilot, "Host key")
        session.gate.set()
        await until_shown(pilot, "9 queued")
        await until(pilot, lambda: "launching" not in screen(pilot).splitlines()[1])
    assert len(session.launched) == 1


async def test_before_the_session_is_open_a_launch_shows_a_notice() -> None:
    session = FakeSession()
    opened = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(_: Prompter) -> FakeSession:
        asyncio.run_coroutine_threadsafe(opened.wait(), loop).result()
        return session

    app = ConsoleApp(slowly, session.experiment, "demo", "this machine", False)
    record_notices(app)
    async with app.run_test(size=LARGE, notifications=True) as pilot:
        await until_shown(pilot, "starting")
        await pilot.press("a")
        await until(pilot, lambda: notices(pilot))
        assert "still starting" in notices(pilot)[0]
        opened.set()
        await until_shown(pilot, "press a to launch all nine")


async def test_a_session_that_cannot_be_opened_ends_the_console_with_its_line() -> None:
    def broken(_: Prompter) -> FakeSession:
        raise ValueError("configs/hosts.toml: no host 'x'")

    app = ConsoleApp(broken, FakeSession().experiment, "demo", "x", False)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.return_code == 2)


async def test_leaving_with_nothing_running_asks_nothing() -> None:
    session = FakeSession()
    session.show(finished(A42), sync_states={A42: SyncState("synced", 9, 9, 120_000, 120_000)})
    async with console(session) as pilot:
        await pilot.press("q")
        await until(pilot, lambda: pilot.app.return_code == 0)
    assert session.closed


async def test_leaving_while_a_run_is_pulled_is_asked() -> None:
    session = FakeSession()
    session.show(finished(A42), sync_states={A42: SyncState("pulling", 0, 9, 60_000, 120_000)})
    async with console(session) as pilot:
        await pilot.press("q")
        await until_shown(pilot, "1 ended run is not synced yet; the next start pulls")
        await pilot.press("y")
        await until(pilot, lambda: pilot.app.return_code == 0)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_leaving_active_runs_is_asked_and_aborts_none(key: str) -> None:
    session = FakeSession()
    session.show(view_of(A42, "running", training(5)), view_of(A123, "queued"))
    async with console(session) as pilot:
        await pilot.press(key)
        await until_shown(pilot, "2 runs continue on the host without the console")
        await pilot.press(key)
        await pilot.pause()
        assert asked(pilot)
        await pilot.press("y")
        await until(pilot, lambda: pilot.app.return_code == 0)
    assert session.closed
    assert not session.aborted


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ([("A", True, "queued"), ("B", True, "queued")], "Launched 2 runs."),
        ([("A", True, "queued"), ("B", False, "no room")], "Launched 1 run. 1 not launched: no room."),
        ([("A", False, "no room"), ("B", False, "no room")], "2 not launched: no room."),
    ],
)
def test_the_outcome_of_a_command_fits_one_line(outcomes: list[tuple[str, bool, str]], words: str) -> None:
    text, _ = outcome_notice("launched", [Outcome(RunId(name, 1), done, note) for name, done, note in outcomes])
    assert text == words


async def test_a_run_the_host_forgot_can_be_launched_again() -> None:
    session = FakeSession()
    session.show(view_of(A42, "lost", reason="the host restarted"))
    async with console(session) as pilot:
        await until_shown(pilot, "the host restarted")
        await pilot.press("l")
        await until(pilot, lambda: session.launched)
        assert not asked(pilot)
    assert isinstance(session.snapshot.runs[A42], RunView)


async def test_a_console_without_the_lease_only_views_until_it_takes_over() -> None:
    session = FakeSession()
    session.show(view_of(A42, "running", training(5)), lease="[b]ann@laptop")
    async with console(session, LARGE) as pilot:
        await until_shown(pilot, "view only ([b]ann@laptop has the lease)")
        await pilot.press("a")
        await until(pilot, lambda: notices(pilot))
        assert "T takes over" in notices(pilot)[0]
        await pilot.press("x")
        await pilot.pause()
        assert not asked(pilot)
        await pilot.press("T")
        await until_shown(pilot, "[b]ann@laptop has the lease of this host")
        await pilot.press("T")
        await pilot.pause()
        assert asked(pilot)
        await pilot.press("y")
        await until(pilot, lambda: "view only" not in screen(pilot).splitlines()[0])
        await pilot.press("x")
        await until(pilot, lambda: asked(pilot))
    assert not session.launched


async def test_taking_over_its_own_lease_only_shows_a_notice() -> None:
    async with console(FakeSession()) as pilot:
        await pilot.press("T")
        await until(pilot, lambda: notices(pilot))
        assert notices(pilot) == ["This console has the lease already."]
