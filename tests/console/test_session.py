"""The session itself, over the real embedded host: it can be left at any moment."""

from __future__ import annotations

import asyncio
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import msgspec
import pytest

from console.hosts.agent.workspace import seal
from console.hosts.host_config import HostConfig
from console.hosts.preflight.checks import Repair
from console.hosts.ssh.errors import LinkDown
from console.results.next_steps.decisions import Decision
from console.results.next_steps.derive import Addition
from console.runs.snapshot import Snapshot, SyncState
from console.session import Session
from engine.contract import events
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.run_folder import StateName
from engine.contract.settings import RunId
from engine.contract.state import RunState
from tests.console.fed_log import texts
from tests.console.hosts.shared_server import kill_servers
from tests.console.results.capsules import opened_files, row, write_capsule
from tests.console.tiny import PROFILE, write_experiment

pytestmark = pytest.mark.server


def make_session(folder: Path, *, read_only: bool = False) -> Session:
    path = write_experiment(folder)
    host = HostConfig("here", "embedded")
    return Session(host, read_experiment(path), path, PROFILE, folder / "runs", read_only=read_only)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233])
async def test_it_can_be_cancelled_after_any_number_of_turns(tmp_path: Path, turns: int) -> None:
    session = make_session(tmp_path)
    following = asyncio.create_task(session.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    following.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await following


async def test_it_can_be_cancelled_the_moment_it_is_ready(tmp_path: Path) -> None:
    for _ in range(5):
        session = make_session(tmp_path)
        following = asyncio.create_task(session.run())
        await session.ready.wait()
        following.cancel()
        async with asyncio.timeout(10):
            with pytest.raises(asyncio.CancelledError):
                await following


async def test_the_link_comes_up_and_the_snapshot_describes_the_host(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    following = asyncio.create_task(session.run())
    links: list[str] = []
    described = asyncio.Event()

    def note(snapshot: Snapshot) -> None:
        links.append(snapshot.host.link)
        if snapshot.host.facts:
            described.set()

    session.subscribe(note)
    async with asyncio.timeout(20):
        await described.wait()
    host = session.snapshot.host
    assert host.link == "up" and host.fingerprint.startswith("SHA256:") and host.last_reply_at > 0
    assert host.facts and host.facts.workspace == str(tmp_path / "runs" / ".local-host")
    assert links[0] == "connecting"
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await session.close()
    assert session.snapshot.host.link == "closed"


def write_run(folder: Path, key: str, state: StateName, steps: int) -> Path:
    """The files of a run as a sync leaves them."""
    folder.mkdir(parents=True)
    stream = [
        events.Event(step, 10.0 * step, events.Step(step + 1, 20, 1, 1 / (step + 1), 1e-3, {})) for step in range(steps)
    ]
    (folder / "events.jsonl").write_bytes(b"".join(events.encode(event) + b"\n" for event in stream))
    (folder / "log.txt").write_text("".join(f"step {step}\n" for step in range(steps)) + "no newline")
    (folder / "state.json").write_bytes(msgspec.json.encode(RunState(state, key)))
    return folder


async def test_without_a_host_everything_synced_is_shown_and_nothing_is_decided_by_it(tmp_path: Path) -> None:
    sealed, growing, absent = RunId("A", 42), RunId("B", 42), RunId("A", 123)
    path = write_experiment(tmp_path)
    folder = tmp_path / "runs" / "tiny-tiny"
    seal(write_run(folder / str(sealed), "a" * 32, "finished", 9), "a" * 32)
    write_run(folder / ".live" / str(growing) / ("b" * 32), "b" * 32, "running", 4)
    host = HostConfig("gone", "ssh", address="127.0.0.1", port=1, user="nobody")
    session = Session(host, read_experiment(path), path, PROFILE, tmp_path / "runs")
    changed = asyncio.Event()
    session.subscribe(lambda _: changed.set())
    following = asyncio.create_task(session.run())
    async with asyncio.timeout(20):
        while session.snapshot.host.link != "lost" or session.snapshot.runs[growing].last_step is None:
            changed.clear()
            await changed.wait()
    views = session.snapshot.runs
    assert [views[run].state_name for run in (sealed, growing, absent)] == ["finished", "running", "none"]
    assert [len(views[run].losses) for run in (sealed, growing, absent)] == [9, 4, 0]
    assert texts(session.log(sealed))[-2:] == ["step 8", "no newline"]
    assert texts(session.log(growing))[-1] == "step 3", "a line that still runs is not complete"
    states = session.snapshot.sync_states
    assert (states[sealed].status, states[absent].status) == ("synced", "not synced")
    assert states[growing] == SyncState("syncing", bytes_done=session._link.local.live_size(growing, "b" * 32) or 0)
    assert not session.ready.is_set() and not session.snapshot.host.last_reply_at
    assert session.plan_launch([sealed]).launch == (sealed,) and not session.plan_abort([growing]).abort
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_the_hosts_reply_replaces_the_last_known_state(tmp_path: Path) -> None:
    """Of what was last known as running, the host knows one run no more, and one under another launch."""
    gone, newer = RunId("A", 42), RunId("B", 42)
    session = make_session(tmp_path)
    local, remote = tmp_path / "runs" / "tiny-tiny", tmp_path / "runs" / ".local-host" / "runs" / "tiny-tiny"
    for run in (gone, newer):
        write_run(local / ".live" / str(run) / ("b" * 32), "b" * 32, "running", 4)
    seal(write_run(remote / str(newer), "c" * 32, "failed", 2), "c" * 32)
    following = asyncio.create_task(session.run())
    await session.ready.wait()
    views = session.snapshot.runs
    assert (views[gone].state, views[newer].state_name, len(views[newer].losses)) == (None, "failed", 2)
    assert texts(session.log(newer))[1] == "step 1" and session.plan_launch([gone, newer]).launch == (gone, newer)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_without_a_link_nothing_is_launched(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    with pytest.raises(LinkDown):
        await session.launch(session.plan_launch([RunId("A", 42)]))


async def test_only_the_writer_of_the_runs_folder_keeps_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = make_session(tmp_path)
    path = tmp_path / "runs" / "tiny-tiny" / "analysis_plan.json"
    await session._keep_plan()
    assert not path.exists()
    assert session._link.local.try_lock()
    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "link", fail_to_link)
        await session._keep_plan()
    assert not path.exists() and list(path.parent.glob(".*.tmp")) == []
    await session._keep_plan()
    assert path.exists()
    await asyncio.to_thread(session._link.local.close)


def fail_to_link(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_read_only_session_adds_and_decides_nothing(tmp_path: Path) -> None:
    session = make_session(tmp_path, read_only=True)
    with pytest.raises(BadInput, match="read-only"):
        await session.add(cast(Addition, None))
    with pytest.raises(BadInput, match="read-only"):
        session.record_decision(cast(Decision, None))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["experiment.toml"]


async def test_a_read_only_session_launches_and_aborts_nothing(tmp_path: Path) -> None:
    session = make_session(tmp_path, read_only=True)
    following = asyncio.create_task(session.run())
    await session.ready.wait()
    with pytest.raises(BadInput, match="read-only"):
        await session.launch(session.plan_launch([RunId("A", 42)]))
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@pytest.mark.parametrize("what", ["environment", "wordnet"])
async def test_a_session_that_may_not_write_repairs_nothing(tmp_path: Path, what: Repair) -> None:
    session = make_session(tmp_path, read_only=True)
    with pytest.raises(BadInput, match="read-only: it launches, aborts, repairs, adds and decides nothing"):
        await anext(session.upkeep.repair(what))
    holder, session = make_session(tmp_path), make_session(tmp_path)
    following = []
    for one in (holder, session):
        following.append(asyncio.create_task(one.run()))
        await one.ready.wait()
    with pytest.raises(BadInput, match="has the lease of this host: take it over to launch, abort or repair"):
        await anext(session.upkeep.repair(what))
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)


async def test_synced_files_are_verified_and_what_differs_is_pulled_again(tmp_path: Path) -> None:
    run = RunId("A", 42)
    session = make_session(tmp_path, read_only=True)
    changed = asyncio.Event()
    session.subscribe(lambda _: changed.set())
    on_host = tmp_path / "runs" / ".local-host" / "runs" / "tiny-tiny" / str(run)
    on_host.mkdir(parents=True)
    (on_host / "items.parquet").write_bytes(b"right")
    (on_host / "state.json").write_text(f'{{"key": "{"a" * 32}", "state": "finished", "ended_at": 1.0}}')
    seal(on_host, "a" * 32)
    following = asyncio.create_task(session.run())

    async def synced() -> None:
        async with asyncio.timeout(20):
            while session.snapshot.sync_states[run].status != "synced":
                changed.clear()
                await changed.wait()

    await synced()
    here = tmp_path / "runs" / "tiny-tiny" / str(run) / "items.parquet"
    checks = [check async for check in session.verify_synced()]
    assert (checks[-1].files, checks[-1].differing) == (2, ())
    here.write_bytes(b"wrong")
    checks = [check async for check in session.verify_synced()]
    assert [(one.path, one.why) for one in checks[-1].differing] == [("items.parquet", "its SHA-256 differs")]
    assert session.snapshot.sync_states[run].status == "damaged"
    assert session.pull_again() == (run,)
    await synced()
    assert here.read_bytes() == b"right"
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_what_a_newer_launch_replaced_is_in_neither_view(tmp_path: Path) -> None:
    """The local copy is of launch 000...; the host has a newer launch of the run, 111..."""
    session = make_session(tmp_path, read_only=True)
    experiment, run = read_experiment(tmp_path / "experiment.toml"), RunId("A", 42)
    runs_dir, on_host = (
        tmp_path / "runs" / "tiny-tiny",
        tmp_path / "runs" / ".local-host" / "runs" / "tiny-tiny" / str(run),
    )
    wrong = [row("r0", 2, margin=-0.1), row("c0", 1, kind="coherence")]
    write_capsule(runs_dir, experiment, run, wrong, profile=PROFILE)
    seal(runs_dir / str(run), "0" * 32)
    assert session.items().frame["item_id"].to_list() == ["r0", "c0"] and session.results().runs[0].is_counted
    on_host.mkdir(parents=True)
    (on_host / "state.json").write_text(f'{{"key": "{"1" * 32}", "state": "queued"}}')
    following = asyncio.create_task(session.run())
    await session.ready.wait()
    assert session.items().frame.is_empty() and not session.results().runs[0].is_counted
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


def test_results_and_items_read_a_capsule_once_between_them(tmp_path: Path) -> None:
    session = make_session(tmp_path, read_only=True)
    experiment, run = read_experiment(tmp_path / "experiment.toml"), RunId("A", 42)
    runs_dir = tmp_path / "runs" / "tiny-tiny"
    write_capsule(runs_dir, experiment, run, [row("r0", 2), row("c0", 1, kind="coherence")], profile=PROFILE)
    with opened_files(runs_dir / str(run)) as opened, ThreadPoolExecutor() as pool:
        calls = [pool.submit(call) for call in (session.results, session.items) for _ in range(3)]
        assert all(call.result() for call in calls)
    assert sorted(opened) == ["items.parquet", "metrics.json", "spec.json", "state.json"]


async def test_a_capsule_found_damaged_is_in_neither_view(tmp_path: Path) -> None:
    session = make_session(tmp_path, read_only=True)
    experiment, run = read_experiment(tmp_path / "experiment.toml"), RunId("A", 42)
    runs_dir = tmp_path / "runs" / "tiny-tiny"
    write_capsule(runs_dir, experiment, run, [row("r0", 2), row("c0", 1, kind="coherence")], profile=PROFILE)
    seal(runs_dir / str(run), "0" * 32)
    looked = asyncio.Event()
    session.subscribe(lambda snapshot: looked.set() if snapshot.sync_states[run].status == "synced" else None)
    following = asyncio.create_task(session.run())
    await looked.wait()
    assert session.snapshot.sync_states[run].key == "0" * 32 and not session.items().frame.is_empty()
    with (runs_dir / str(run) / "metrics.json").open("ab") as metrics:
        metrics.write(b" ")  # it can be read all the same
    async for _ in session.verify_synced():
        pass
    result = session.results().runs[0]
    assert (
        not result.is_counted
        and result.problem.startswith("damaged: metrics.json")
        and session.items().frame.is_empty()
    )
    session._link.run_sync.sync_states[run] = SyncState("pulling")  # it comes again, and is not here yet
    assert session.results().runs[0].problem == "damaged" and session.items().frame.is_empty()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_without_a_link_nothing_is_pulled_again_and_local_files_are_verified(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    with pytest.raises(LinkDown):
        session.pull_again()
    assert [check.runs async for check in session.verify_synced()] == [0]


async def test_a_server_that_dies_is_replaced_and_the_link_comes_back(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    following = asyncio.create_task(session.run())
    await session.ready.wait()
    links: list[str] = []
    back = asyncio.Event()

    def note(link: str) -> None:
        links.append(link)
        if "lost" in links and link == "up":
            back.set()

    session.subscribe(lambda snapshot: note(snapshot.host.link))
    kill_servers()
    async with asyncio.timeout(20):
        await back.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_a_host_whose_lease_cannot_be_locked_is_followed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "runs" / ".local-host" / "lease.lock").mkdir(parents=True)
    session = make_session(tmp_path)
    following = asyncio.create_task(session.run())
    async with asyncio.timeout(20):
        await session.ready.wait()
    assert session.snapshot.host.link == "up" and not session.snapshot.host.lease, (
        "where there can be no lock, nobody is refused"
    )
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_the_second_session_is_read_only_until_it_takes_over(tmp_path: Path) -> None:
    first, second = make_session(tmp_path), make_session(tmp_path)
    following = [asyncio.create_task(first.run())]
    await first.ready.wait()
    following.append(asyncio.create_task(second.run()))
    await second.ready.wait()
    assert not first.snapshot.host.lease and "@" in second.snapshot.host.lease
    with pytest.raises(BadInput, match="has the lease"):
        await second.launch(second.plan_launch([RunId("A", 42)]))
    with pytest.raises(BadInput, match="has the lease"):
        await second.upkeep.check_lease()
    second._link.note(lease="")  # as right after the link came back, before the host has named the holder
    with pytest.raises(BadInput, match="has the lease"):
        await second.upkeep.check_lease()
    await first.upkeep.check_lease()
    await second.take_over()
    assert not second.snapshot.host.lease
    async with asyncio.timeout(20):
        while not first.snapshot.host.lease:
            await asyncio.sleep(0.02)
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
