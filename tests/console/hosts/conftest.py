"""A real embedded host for each test: its server process, its agent, a workspace of its own."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent_link import AgentLink, open_agent
from console.hosts.connection import Reached, reach
from console.hosts.host_config import HostConfig

HOST = HostConfig("here", "embedded")
FOLDER = "experiment"


class Host:
    """A workspace that can be reached again and again."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.run_folder = workspace / "runs" / FOLDER

    @asynccontextmanager
    async def reach(self) -> AsyncIterator[tuple[Reached, AgentLink]]:
        async with reach(HOST, self.workspace) as reached, open_agent(reached) as link:
            yield reached, link


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


@pytest.fixture
async def link(host: Host) -> AsyncIterator[AgentLink]:
    async with host.reach() as (_, link):
        yield link


async def launch(link: AgentLink, run: str, code: str, *, key: str | None = None, slots: int = 1) -> str:
    """Launch Python ``code`` as a job; returns the key that the run is active under."""
    reply = await link.request(
        "launch",
        key=key or uuid.uuid4().hex,
        folder=FOLDER,
        run=run,
        slots=slots,
        settings="",
        files={},
        argv=[sys.executable, "-c", code],
        env={},
    )
    return str(reply["key"])


async def states_when(
    link: AgentLink, condition: Callable[[dict[str, dict[str, Any]]], bool], timeout: float = 30.0
) -> dict[str, dict[str, Any]]:
    """The states of all runs as soon as they fulfil ``condition``."""
    digest = ""
    async with asyncio.timeout(timeout):
        while True:
            reply = await link.request("poll", folder=FOLDER, wait=0.0, digest=digest, offsets={})
            if condition(reply["states"]):
                return dict(reply["states"])
            await asyncio.sleep(0.02)


def in_state(run: str, *names: str) -> Callable[[dict[str, dict[str, Any]]], bool]:
    return lambda states: run in states and states[run]["state"] in names
