"""Requests to the agent over a link that ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from console.hosts.remote.agent_client import open_agent
from console.hosts.ssh.connection import open_connection
from console.hosts.ssh.errors import LinkDown
from tests.console.hosts.conftest import EMBEDDED, FOLDER

pytestmark = pytest.mark.server


async def test_who_waits_for_a_reply_learns_at_once_that_the_link_was_closed(tmp_path: Path) -> None:
    """As when a pull fails, which ends the link, while a command waits for its reply."""
    async with open_connection(EMBEDDED, tmp_path) as connection:
        async with open_agent(connection) as agent:
            known = await agent.request("poll", folder=FOLDER, runs=[], wait=0.0)
            arguments = {"folder": FOLDER, "runs": [], "wait": 100.0, "digest": known["digest"]}
            waiting = asyncio.create_task(agent.request("poll", 200.0, **arguments))
            await agent.request("hello")  # the one before it has been sent
        with pytest.raises(LinkDown, match="the link to the host was closed"):
            async with asyncio.timeout(20):
                await waiting
        with pytest.raises(LinkDown, match="closed"):
            await agent.request("hello")
