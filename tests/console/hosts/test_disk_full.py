"""The host's disk is full: what was there stays whole, the error names the disk, and an end is recorded late, not never."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from console.hosts.agent.process import job_processes
from console.hosts.agent.workspace import write_json
from console.hosts.remote.agent_client import AgentRefused
from tests.console.hosts.conftest import Host, in_state, launch, states_when
from tests.console.hosts.small_disk import fill

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
        before = await states_when(link, in_state("A_seed1", "finished"))
        filler = fill(small_disk)
        with pytest.raises(AgentRefused, match=f"the disk at {small_disk} is full"):
            await launch(link, "A_seed2", "print('two')", key="2" * 32)
        states = await states_when(link, lambda states: "A_seed1" in states)
        assert states["A_seed1"] == before["A_seed1"]
        filler.unlink()
        assert await launch(link, "A_seed2", "print('two')", key="2" * 32) == "2" * 32
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
