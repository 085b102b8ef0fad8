"""The host's disk is full: what was there stays whole, the error names the disk, and an end is recorded late, not never."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from console.hosts.agent.job_processes import job_processes
from console.hosts.agent.process import alive
from console.hosts.agent.workspace import write_json
from console.hosts.remote.agent_client import AgentClient, AgentRefused
from tests.console.hosts.conftest import Host, in_state, launch, states_when
from tests.console.hosts.small_disk import fill, fill_files

pytestmark = pytest.mark.server


def test_a_write_on_a_full_disk_leaves_the_old_file(small_disk: Path) -> None:
    path = small_disk / "state.json"
    write_json(path, {"old": True})
    fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, {"new": "x" * 100_000})
    assert path.read_text() == '{"old": true}'
    assert [entry.name for entry in small_disk.iterdir() if entry.name.startswith(".")] == []


@pytest.mark.fault("the host's disk is full at a launch", "old files intact, the error names the disk, resumes later")
async def test_a_launch_on_a_full_disk_is_refused_with_the_reason_and_succeeds_once_there_is_room(
    small_disk: Path,
) -> None:
    host = Host(small_disk / "host")
    async with host.open_connection() as (_, link):
        await launch(link, "A_seed1", "print('one')")
        key = uuid.uuid4().hex
        before = await states_when(link, in_state("A_seed1", "finished"))
        filler = fill(small_disk)
        with pytest.raises(AgentRefused, match=f"the disk at {small_disk} is full"):
            await launch(link, "A_seed2", "print('two')", key=key)
        states = await states_when(link, lambda states: "A_seed1" in states)
        assert states["A_seed1"] == before["A_seed1"]
        filler.unlink()
        assert await launch(link, "A_seed2", "print('two')", key=key) == key
        await states_when(link, in_state("A_seed2", "finished"))


@pytest.mark.fault("the host's disk is full when a run ends", "recorded once there is room")
async def test_an_end_on_a_full_disk_is_recorded_once_there_is_room(small_disk: Path) -> None:
    host = Host(small_disk / "host")
    code = "import pathlib, time\nwhile not pathlib.Path('../go').exists(): time.sleep(0.02)"
    async with host.open_connection() as (_, link):
        key = await launch(link, "A_seed1", code)
        await states_when(link, lambda states: bool(states.get("A_seed1", {}).get("job")))
        (small_disk / "go").touch()  # made before the disk is full, seen by the job right after
        filler = fill(small_disk)
        async with asyncio.timeout(20):
            while not job_is_gone(key):
                await asyncio.sleep(0.05)
        filler.unlink()
        states = await states_when(link, in_state("A_seed1", "finished"))
        assert states["A_seed1"]["exit_code"] == 0


def job_is_gone(key: str) -> bool:
    """Only its supervisor is left, to insist on recording the end."""
    return not job_processes(key, None, None)


async def jobs_queued_behind_a_job(link: AgentClient, small_disk: Path) -> Path:
    """Start one job, which ends once the returned file is deleted, and queue three others."""
    go = small_disk / "hold"
    go.touch()
    await launch(link, "A_seed1", f"import os, time\nwhile os.path.exists({str(go)!r}): time.sleep(0.02)")
    for run in ("A_seed2", "A_seed3", "A_seed4"):
        await launch(link, run, "print('done')")
    recorded = {"A_seed1": "job", "A_seed2": "supervisor", "A_seed3": "supervisor", "A_seed4": "supervisor"}
    await states_when(link, lambda states: all(states.get(run, {}).get(name) for run, name in recorded.items()))
    return go


@pytest.mark.fault("the host's disk is full while runs are queued", "they wait, say so, and run once there is room")
@pytest.mark.parametrize("files", [False, True], ids=["bytes", "files"])
async def test_queued_runs_wait_for_room_and_then_run(small_disk: Path, files: bool) -> None:
    host = Host(small_disk / "host")
    async with host.open_connection() as (_, link):
        go = await jobs_queued_behind_a_job(link, small_disk)
        fillers = fill_files(small_disk) if files else [fill(small_disk)]
        go.unlink()  # the slot is free, and so is the room of one file
        fillers += fill_files(small_disk)
        queued = ("A_seed2", "A_seed3", "A_seed4")
        reason = "waits for room on the host's disk"
        states = await states_when(link, lambda states: all(states[run].get("reason") == reason for run in queued))
        assert [states[run]["state"] for run in queued] == ["queued"] * 3
        async with asyncio.timeout(20):
            while not job_is_gone(states["A_seed1"]["key"]):
                await asyncio.sleep(0.05)
        assert [alive(states[run]["supervisor"]) for run in queued] == [True] * 3
        for path in fillers:
            path.unlink()
        done = await states_when(link, lambda states: all(states[run]["state"] == "finished" for run in queued))
        begun = [done[run]["started_at"] for run in queued]
        assert begun == sorted(begun) and not any(done[run]["reason"] for run in queued)


@pytest.mark.fault("the lock files of the host's queue are gone and its disk is full", "queued runs wait for room")
async def test_queued_runs_wait_where_not_even_a_lock_can_be_made(small_disk: Path) -> None:
    host = Host(small_disk / "host")
    async with host.open_connection() as (_, link):
        go = await jobs_queued_behind_a_job(link, small_disk)
        for path in (host.workspace / "queue.lock", *(host.workspace / "slots").iterdir()):
            path.unlink()
        fillers = [fill(small_disk), *fill_files(small_disk)]
        states = await states_when(
            link, lambda states: states["A_seed2"].get("reason", "").startswith("waits for room")
        )
        go.unlink()
        fillers += fill_files(small_disk)
        assert [alive(states[run]["supervisor"]) for run in sorted(states)] == [True] * 4
        for path in fillers:
            path.unlink()
        await states_when(link, lambda states: all(state["state"] == "finished" for state in states.values()))


@pytest.mark.fault("the host's disk is full at an abort", "the job is ended at once, recorded once there is room")
@pytest.mark.parametrize("run", ["A_seed1", "A_seed2"], ids=["running", "queued"])
async def test_a_run_is_aborted_on_a_full_disk(small_disk: Path, run: str) -> None:
    host = Host(small_disk / "host")
    async with host.open_connection() as (_, link):
        for each in ("A_seed1", "A_seed2"):
            await launch(link, each, "import time; time.sleep(600)")
        states = await states_when(link, lambda states: len(states) == 2 and bool(states["A_seed1"].get("job")))
        fillers = [fill(small_disk), *fill_files(small_disk)]
        reply = await link.request("abort", key=states[run]["key"], by="ann")
        assert job_is_gone(states[run]["key"]), reply
        for path in fillers:
            path.unlink()
        ended = await states_when(link, in_state(run, "aborted"))
        other = next(name for name in states if name != run)
        assert ended[other]["state"] in ("queued", "running")
        await link.request("abort", key=states[other]["key"], by="ann")


async def test_the_facts_of_a_host_with_a_full_disk_are_read(small_disk: Path) -> None:
    host = Host(small_disk / "host")
    async with host.open_connection():
        pass
    fillers = [fill(small_disk), *fill_files(small_disk)]
    async with host.open_connection() as (_, link):
        assert (await link.request("facts"))["disk_free"] == 0
        assert (await link.request("preflight_facts"))["writable"]
        assert (await link.request("poll", folder="experiment"))["states"] == {}
        assert (await link.request("lease", console="1", user="ann"))["held"]
    assert fillers
