"""Commands against a host whose disk is full: they look and abort, and say that it is full."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console import exit_codes
from console.hosts.remote.agent_client import AgentClient
from engine.contract.experiment import folder_name
from engine.contract.experiment_reader import read_experiment
from tests.console.hosts.conftest import Host
from tests.console.hosts.small_disk import fill, fill_files, mounted
from tests.console.tiny import PROFILE, console, status, write_experiment

pytestmark = pytest.mark.server


async def launch(link: AgentClient, folder: str, run: str, *argv: str) -> None:
    fixed: dict[str, Any] = {"settings": "", "slots": 1, "files": {}, "env": {}}
    assert (await link.request("launch", key=uuid.uuid4().hex, folder=folder, run=run, argv=argv, **fixed))["new"]


async def until(link: AgentClient, folder: str, condition: Callable[[dict[str, Any]], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition((await link.request("poll", folder=folder))["states"]):
            await asyncio.sleep(0.05)


@pytest.mark.fault("the host's disk is full when a command looks or aborts", "it does, and says that the disk is full")
@pytest.mark.parametrize("shipped", [True, False], ids=["the agent is there", "not even the agent fits"])
async def test_status_and_abort_need_no_room_on_the_host_and_a_launch_says_why_not(
    tmp_path: Path, shipped: bool
) -> None:
    experiment, runs = write_experiment(tmp_path / "files"), tmp_path / "runs"
    folder = folder_name(read_experiment(experiment), PROFILE)
    runs.mkdir()
    with mounted(tmp_path / "disk") as disk:
        host = Host(disk / "host")
        (runs / ".local-host").symlink_to(host.workspace)
        async with host.open_connection() as (_, link):
            await launch(link, folder, "A_seed42", "/bin/sleep", "600")
            await launch(link, folder, "A_seed123", "/bin/sleep", "600")
            await until(
                link, folder, lambda states: states["A_seed42"].get("job") and states["A_seed123"].get("supervisor")
            )
        if not shipped:
            next((host.workspace / "agent").iterdir()).unlink()
        fillers = [fill(disk), *fill_files(disk)]
        found = status(experiment, runs)
        assert found["A_seed42"]["state"] == "running"
        assert found["A_seed123"]["reason"] == "waits for room on the host's disk"
        done = console("run", experiment, runs, "--condition", "B", "--seed", "42")
        assert "Traceback" not in done.stderr and f"B/42: the disk at {runs / '.local-host'} is full" in done.stderr
        assert done.returncode == exit_codes.FAILED
        done = console("abort", experiment, runs, "--all")
        assert "Traceback" not in done.stderr and "the host's disk is full (0 B free)" in done.stderr
        assert "A/42" in done.stdout and "A/123" in done.stdout
        for path in fillers:
            path.unlink()
        async with host.open_connection() as (_, link):
            await until(link, folder, lambda states: all(state["state"] == "aborted" for state in states.values()))


async def test_an_agent_that_was_started_from_memory_launches_once_there_is_room(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        fillers = [fill(disk), *fill_files(disk)]
        async with Host(disk / "host").open_connection() as (_, link):
            assert (await link.request("facts"))["disk_free"] == 0
            for path in fillers:
                path.unlink()
            await launch(link, "folder", "A_seed42", "/bin/true")
            await until(link, "folder", lambda states: states["A_seed42"]["state"] == "finished")
