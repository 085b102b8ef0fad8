"""A session without a host: everything that is local is there, what another console syncs appears, nothing is launched."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from console.local.experiment import find_experiment
from console.local.session import LocalSession
from console.runs.snapshot import sync_status
from engine.contract.bad_input import BadInput
from engine.contract.events import Stage
from engine.contract.experiment_reader import read_experiment
from engine.contract.run_folder import MANIFEST
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.fed_log import texts
from tests.console.local_folder import write_run
from tests.console.results.capsules import row, write_capsule
from tests.console.ui.scenes import training

SCALING = read_experiment(find_config("scaling.toml"))
A, B, C = (RunId(name, 42) for name in "ABC")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run, and one that was running when its copy was written."""
    write_run(tmp_path, SCALING, "demo", A, training(20), log=b"first\nlast\n")
    write_run(tmp_path, SCALING, "demo", B, training(5), state="running", log=b"begun\n", sealed=False)
    return tmp_path


@asynccontextmanager
async def followed(folder: Path) -> AsyncIterator[LocalSession]:
    """A session that has read the folder once."""
    session = LocalSession(find_experiment(folder))
    following = asyncio.create_task(session.run())
    try:
        await asyncio.wait_for(session.ready.wait(), 20)
        yield session
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def test_states_curves_logs_and_sync_states_are_those_of_the_folder(folder: Path) -> None:
    async with followed(folder) as session:
        snapshot = session.snapshot
        assert snapshot.host.link == "local"
        assert [snapshot.runs[run].state_name for run in (A, B)] == ["finished", "running"]
        assert [len(snapshot.runs[run].losses) for run in (A, B)] == [20, 5]
        assert [snapshot.sync_states[run].status for run in (A, B)] == ["synced", "syncing"]
        assert texts(session.log(A)) == ["first", "last"]
        assert texts(session.log(B)) == ["begun"]


async def test_nothing_is_written_and_nothing_is_asked_of_a_host(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    async with followed(folder) as session:
        assert not session.plan_launch((A, B)).launch
        assert not session.plan_abort((A, B)).abort
        with pytest.raises(BadInput, match="no host is asked"):
            await session.take_over()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


async def test_what_another_console_syncs_meanwhile_is_read(folder: Path) -> None:
    async with followed(folder) as session:
        write_run(folder, SCALING, "demo", B, training(20), log=b"begun\nended\n")
        shutil.rmtree(folder / ".live")
        assert session._refresh()
        session._notify()
        view, sync = session.snapshot.runs[B], session.snapshot.sync_states[B]
        assert (view.state_name, len(view.losses), sync.status) == ("finished", 20, "synced")
        assert texts(session.log(B)) == ["begun", "ended"]
        assert not session._refresh(), "what has not changed is not read again"


async def test_a_growing_copy_is_read_on_from_where_it_stopped(folder: Path) -> None:
    async with followed(folder) as session:
        write_run(folder, SCALING, "demo", B, training(9), state="running", log=b"begun\nmore\n", sealed=False)
        assert session._refresh()
        session._notify()
        assert len(session.snapshot.runs[B].losses) == 9
        assert texts(session.log(B)) == ["begun", "more"]


async def test_a_capsule_without_a_manifest_is_shown_and_said_to_be_unverified(folder: Path) -> None:
    (folder / str(A) / MANIFEST).unlink()
    async with followed(folder) as session:
        assert session.snapshot.runs[A].state_name == "finished"
        assert session.snapshot.sync_states[A].status == "not synced"
        assert "without a manifest" in session.snapshot.sync_states[A].note


async def test_verifying_finds_a_file_that_was_altered(folder: Path) -> None:
    async with followed(folder) as session:
        (folder / str(A) / "log.txt").write_text("altered\n")
        *_, last = [result async for result in session.verify_synced()]
        assert [one.path for one in last.differing] == ["log.txt"]
        assert sync_status(session.snapshot).damaged == (A,)


async def test_a_launch_that_takes_the_place_of_a_capsule_is_read_from_its_beginning(folder: Path) -> None:
    async with followed(folder) as session:
        write_run(folder, SCALING, "demo", A, [Stage("data", "again")], state="running", sealed=False)
        state = folder / ".live" / str(A)
        (state / ("0123456789abcdef" * 2)).rename(state / ("f" * 32))
        assert session._refresh()
        session._notify()
        view = session.snapshot.runs[A]
        assert (view.state_name, view.stage_note, len(view.losses)) == ("running", "again", 0)


async def test_results_items_and_an_item_are_those_of_the_capsules(tmp_path: Path) -> None:
    rows = [row("r1", 1), row("r2", 4), row("c1", 1, kind="coherence")]
    for run in (A, B, C):
        write_capsule(tmp_path, SCALING, run, rows)
    async with followed(tmp_path) as session:
        results = session.results()
        assert [one.evaluated for one in results.conditions] == [1, 1, 1]
        assert len(session.items().frame) == 3
        assert session.item_detail(A, "retrieval", "r2").rank == 4
