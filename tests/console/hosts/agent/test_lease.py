"""Two consoles on one host: one holds the lease, the other looks on, and taking over is explicit."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from console.hosts.remote.agent_client import AgentRefused
from console.hosts.ssh.errors import LinkDown
from tests.console.hosts.conftest import Host, launch


async def test_the_first_console_holds_the_lease_and_the_second_does_not(host: Host) -> None:
    async with host.open_connection() as (_, first), host.open_connection() as (_, second):
        assert await first.request("lease", console="1", user="ann") == {"held": True, "holder": "ann"}
        assert await second.request("lease", console="2", user="bob") == {"held": False, "holder": "ann"}
        with pytest.raises(AgentRefused, match="ann has the lease"):
            await launch(second, "A_seed1", "print()")
        with pytest.raises(AgentRefused, match="ann has the lease"):
            await second.request("abort", key=uuid.uuid4().hex, by="bob")
        assert await second.request("poll", folder="experiment"), "looking is free"
        await launch(first, "A_seed1", "print()")


async def test_the_lease_is_free_once_its_holder_is_gone(host: Host) -> None:
    async with host.open_connection() as (_, first):
        await first.request("lease", console="1", user="ann")
    async with host.open_connection() as (_, second):
        assert (await second.request("lease", console="2", user="bob"))["held"]


async def test_taking_over_ends_the_holders_link(host: Host) -> None:
    async with host.open_connection() as (_, first), host.open_connection() as (_, second):
        await first.request("lease", console="1", user="ann")
        assert (await second.request("lease", console="2", user="bob", take_over=True))["held"]
        with pytest.raises((LinkDown, AgentRefused)):
            await launch(first, "A_seed1", "print()")
        async with host.open_connection() as (_, again):
            assert await again.request("lease", console="1", user="ann") == {"held": False, "holder": "bob"}


async def test_a_console_whose_old_link_hangs_gets_its_own_lease_back(host: Host) -> None:
    async with host.open_connection() as (_, hanging), host.open_connection() as (_, again):
        await hanging.request("lease", console="1", user="ann")
        assert (await again.request("lease", console="1", user="ann"))["held"]


async def test_of_many_requests_at_once_one_gets_the_lease(host: Host) -> None:
    async with host.open_connection() as (_, a), host.open_connection() as (_, b), host.open_connection() as (_, c):
        links = {"a": a, "b": b, "c": c}
        replies = await asyncio.gather(
            *(link.request("lease", console=name, user=name) for name, link in links.items())
        )
        assert [reply["held"] for reply in replies].count(True) == 1


async def test_without_any_lease_a_command_may_launch(host: Host) -> None:
    async with host.open_connection() as (_, link):
        await launch(link, "A_seed1", "print()")
