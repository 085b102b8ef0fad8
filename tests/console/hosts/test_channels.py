"""Channels on one connection: six at most, given back whatever happens, fewer where the server grants fewer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh
import pytest

from console.hosts.channels import MOST_CHANNELS
from console.hosts.link_down import LinkDown
from tests.console.hosts.conftest import Host
from tests.console.hosts.connecting import connect, reached
from tests.console.hosts.sshd import ME, Sshd, started


async def test_no_more_than_six_are_open_at_once(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    async with reached(sshd.host(tmp_path), sshd.access(operator)) as there:
        command = "echo in; cat > /dev/null; echo out"
        opened = [await there.connection.create_process(command) for _ in range(MOST_CHANNELS)]
        seventh = asyncio.create_task(there.connection.run("echo seventh"))
        for process in opened:
            assert await process.stdout.readline() == b"in\n"
        assert not seventh.done()
        opened[0].stdin.write_eof()
        async with asyncio.timeout(10):
            assert (await seventh).stdout == b"seventh\n"


async def test_a_run_that_is_called_off_gives_its_channel_back(host: Host) -> None:
    async with host.reach() as (there, _):
        for _ in range(2 * MOST_CHANNELS):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await there.connection.run("sleep 60")
        async with asyncio.timeout(10):
            assert (await there.connection.run("echo still here")).stdout == b"still here\n"


@pytest.mark.parametrize("granted", [1, 2])
async def test_a_server_that_grants_fewer_is_believed(operator: Path, tmp_path: Path, granted: int) -> None:
    folder = tmp_path / "mean"
    folder.mkdir()
    with started(Sshd(folder, ME, settings=(f"MaxSessions {granted}",))) as sshd:
        async with reached(sshd.host(tmp_path), sshd.access(operator)) as there, asyncio.timeout(20):
            said = await asyncio.gather(*(there.connection.run(f"sleep 0.1; echo {number}") for number in range(8)))
    assert sorted(int(one.stdout or "") for one in said) == list(range(8))


async def test_a_server_that_grants_none_is_an_error_not_a_wait(operator: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mean"
    folder.mkdir()
    with started(Sshd(folder, ME, settings=("MaxSessions 0",))) as sshd, pytest.raises(LinkDown, match="cannot be run"):
        await connect(sshd.host("~/host"), sshd.access(operator))


async def test_a_cut_connection_frees_everybody(host: Host) -> None:
    async with host.reach() as (there, _):
        waiting = [asyncio.create_task(there.connection.run("sleep 60")) for _ in range(2 * MOST_CHANNELS)]
        await asyncio.sleep(0)
        there.connection.abort()
        async with asyncio.timeout(10):
            for outcome in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(outcome, (asyncssh.Error, OSError)) or getattr(outcome, "exit_status", 0) is None
