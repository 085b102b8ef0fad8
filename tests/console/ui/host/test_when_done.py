"""The host's ``when_done`` command in the console: armed by an active run, proved twice, run once, turned off by a key."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from console.hosts import when_done as proof
from console.hosts.ssh.errors import LinkDown
from console.runs.run_view import RunView
from console.runs.snapshot import SyncState
from console.ui.host import when_done
from console.ui.state import WhenDoneState
from engine.contract.bad_input import BadInput
from engine.contract.settings import RunId
from tests.console.ui.driving import SIZES, asked, console, notices, screen, until
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import view_of

A42 = RunId("A", 42)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(when_done, "GRACE_S", 0.01)
    monkeypatch.setattr(proof, "CHECK_EVERY_S", 0.0)


def session_with_command(folder: Path, code: str = "print('stopped')") -> FakeSession:
    """A session whose host's command adds a line to ``ran`` in ``folder``."""
    session = FakeSession()
    session.when_done = (sys.executable, "-c", f"open(r'{folder}/ran', 'a').write('x'); {code}")
    return session


def ran(folder: Path) -> int:
    """How often the command was run."""
    path = folder / "ran"
    return len(path.read_text()) if path.exists() else 0


def all_in(session: FakeSession, state: str, **syncs: SyncState) -> None:
    """Every run of the profile in ``state``, its capsule here."""
    runs = tuple(session.snapshot.runs)
    session.show(
        *(view_of(run, state) for run in runs),
        sync_states={run: syncs.get(run.condition, SyncState("synced", key="k")) for run in runs},
    )


async def until_said(pilot: Pilot[None], *texts: str) -> None:
    """Wait until every text is on the screen, wherever lines are broken."""
    await until(pilot, lambda: all(text in " ".join(screen(pilot).split()) for text in texts), f"{texts}")


@SIZES
async def test_an_active_run_arms_it_and_it_runs_once_when_all_is_done(tmp_path: Path, size: tuple[int, int]) -> None:
    session = session_with_command(tmp_path)
    async with console(session, size) as pilot:
        all_in(session, "running")
        await until(pilot, lambda: any("runs once every run has ended" in text for text in notices(pilot)))
        await pilot.press("1")
        await until_said(pilot, "When done", "turns it off", "is running")
        assert ran(tmp_path) == 0 and session.proofs == 0
        all_in(session, "finished")
        await until(pilot, lambda: any(text.endswith("ended with 0: stopped.") for text in notices(pilot)))
        assert ran(tmp_path) == 1 and session.proofs == 2
        session.show(view_of(A42, "finished"))  # a further snapshot
        await until_said(pilot, "When done", "ended with 0: stopped", "the next active run")
        assert ran(tmp_path) == 1
        all_in(session, "running")
        await until_said(pilot, "turns it off; waits for")
        all_in(session, "finished")
        await until(pilot, lambda: ran(tmp_path) == 2)


async def test_an_experiment_that_had_ended_before_runs_nothing(tmp_path: Path) -> None:
    session = session_with_command(tmp_path)
    all_in(session, "finished")
    async with console(session) as pilot:
        await pilot.press("1")
        await until_said(pilot, "not armed: no run was active")
        session.show(view_of(A42, "finished"))
        await until(pilot, lambda: pilot.app.main.snapshot is session.snapshot)  # type: ignore[attr-defined]
        assert session.proofs == 0 and ran(tmp_path) == 0


async def test_what_is_left_stops_it_and_is_said(tmp_path: Path) -> None:
    session = session_with_command(tmp_path)
    session.left_on_host = ("another/B_seed7: is lost",)
    async with console(session, (200, 40)) as pilot:
        all_in(session, "running")
        await pilot.press("1")
        await until_said(pilot, "waits for: A/42 is running")
        all_in(session, "finished", A=SyncState("pulling"))
        await until_said(pilot, "waits for: A/42 is pulling")
        assert session.proofs == 0
        all_in(session, "finished")
        await until_said(pilot, "waits for: another/B_seed7: is lost")
        session.left_on_host, session.lease_error = (), BadInput("bob has the lease of this host")
        await until_said(pilot, "waits for: bob has the lease")
        session.lease_error = LinkDown("no reply")
        await until_said(pilot, "waits for: no reply")
        assert ran(tmp_path) == 0
        session.lease_error = None
        await until(pilot, lambda: ran(tmp_path) == 1)


async def test_the_key_turns_it_off_also_between_the_two_proofs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(when_done, "GRACE_S", 3600.0)
    session = session_with_command(tmp_path)
    async with console(session) as pilot:
        await pilot.press("1")
        all_in(session, "running")
        await until_said(pilot, "turns it off; waits for")
        all_in(session, "finished")
        await until(pilot, lambda: any("runs in 3600 s; P in view 1 turns it off" in text for text in notices(pilot)))
        await pilot.press("P")
        await until_said(pilot, "is turned off")
        await until(pilot, lambda: not any(worker.group == "when_done" for worker in pilot.app.workers))
        assert ran(tmp_path) == 0
        monkeypatch.setattr(when_done, "GRACE_S", 0.01)
        await pilot.press("P")
        await until(pilot, lambda: ran(tmp_path) == 1)


async def test_it_is_not_run_while_a_launch_is_under_way(tmp_path: Path) -> None:
    session = session_with_command(tmp_path)
    async with console(session) as pilot:
        all_in(session, "running")
        await pilot.press("1")
        await until_said(pilot, "turns it off; waits for")
        pilot.app._pending["launch"] = "launching 1 run"  # type: ignore[attr-defined]
        all_in(session, "finished")
        await until_said(pilot, "launching 1 run")
        assert ran(tmp_path) == 0


async def test_a_command_that_fails_is_an_error_with_its_last_line(tmp_path: Path) -> None:
    session = session_with_command(tmp_path, "import sys; print('no'); sys.exit('such machine')")
    async with console(session) as pilot:
        all_in(session, "running")
        await until(pilot, lambda: pilot.app.when_done_state.armed)  # type: ignore[attr-defined]
        all_in(session, "finished")
        await until(pilot, lambda: any("ended with 1: such machine" in text for text in notices(pilot)))


async def test_a_program_that_cannot_be_run_is_said_at_once_and_nothing_is_armed() -> None:
    session = FakeSession()
    session.when_done = ("no-such-program",)
    async with console(session) as pilot:
        all_in(session, "running")
        await until(pilot, lambda: any("no program 'no-such-program'" in text for text in notices(pilot)))
        await pilot.press("1")
        await until_said(pilot, "cannot be run")
        all_in(session, "finished")
        await until(pilot, lambda: pilot.app.main.snapshot is session.snapshot)  # type: ignore[attr-defined]
        assert session.proofs == 0


async def test_a_read_only_console_has_no_command(tmp_path: Path) -> None:
    session = session_with_command(tmp_path)
    async with console(session, read_only=True) as pilot:
        all_in(session, "running")
        await pilot.press("1")
        all_in(session, "finished")
        await until(pilot, lambda: pilot.app.main.snapshot is session.snapshot)  # type: ignore[attr-defined]
        assert not pilot.app.when_done_state.argv and session.proofs == 0  # type: ignore[attr-defined]


async def test_leaving_says_that_the_command_is_not_run_then(tmp_path: Path) -> None:
    session = session_with_command(tmp_path)
    async with console(session) as pilot:
        all_in(session, "running")
        await until(pilot, lambda: pilot.app.when_done_state.armed)  # type: ignore[attr-defined]
        await pilot.press("q")
        assert asked(pilot)
        await until_said(pilot, "is not run then")


def test_only_the_console_with_the_lease_is_armed() -> None:
    snapshot = FakeSession().snapshot
    active = replace(snapshot, runs=snapshot.runs | {A42: view_of(A42, "running")})
    ours = WhenDoneState(("stop",))
    assert ours.updated(active).ready and not ours.updated(snapshot).ready
    taken = replace(active, host=replace(active.host, lease="bob@laptop"))
    assert not ours.updated(taken).ready and not ours.updated(active).updated(taken).ready
    ended = replace(snapshot, runs={run: RunView(run) for run in snapshot.runs})
    assert not ours.updated(active).updated(taken).updated(ended).ready, "taken back after the other one has run it"
    for unknown in (replace(active.host, link="lost"), replace(active.host, runs_reported=False)):
        assert not ours.updated(replace(active, host=unknown)).ready, (
            "what was known before says nothing of this session"
        )
    assert replace(ours, armed=True).updated(replace(active, host=replace(active.host, link="lost"))).ready
