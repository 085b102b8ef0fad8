"""Channels on one connection: six at most, given back whatever happens, fewer where the server grants fewer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh
import pytest

from console.hosts.ssh import channels
from console.hosts.ssh.channels import MAX_CHANNELS, Channels, close_connection
from console.hosts.ssh.errors import LinkDown
from console.hosts.ssh.remote_python import MarkedPython
from tests.console.hosts.conftest import Host
from tests.console.hosts.sshd import ME, Sshd, connect, connection, started

pytestmark = pytest.mark.server


async def output_of(channels: Channels, command: str) -> bytes:
    process = await channels.create_process(command)
    try:
        return bytes(await process.stdout.read())
    finally:
        process.close()


async def test_no_more_than_six_channels_are_open_at_a_time(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    async with connection(sshd.host(tmp_path), sshd.access(operator)) as connected:
        command = "echo in; cat > /dev/null; echo out"
        opened = [await connected.channels.create_process(command) for _ in range(MAX_CHANNELS)]
        seventh = asyncio.create_task(output_of(connected.channels, "echo seventh"))
        for process in opened:
            assert await process.stdout.readline() == b"in\n"
        assert not seventh.done()
        opened[0].stdin.write_eof()
        async with asyncio.timeout(10):
            assert await seventh == b"seventh\n"


async def test_a_cancelled_program_frees_its_channel(host: Host) -> None:
    async with host.open_connection() as (connected, _):
        silent = MarkedPython(connected.python, "import time; time.sleep(60)")
        for _ in range(2 * MAX_CHANNELS):
            with pytest.raises(LinkDown, match="does not answer"):
                await silent.run(connected.channels, 0.05)
        speaking = MarkedPython(connected.python, "import sys; print(sys.argv[2], 'still here')")
        assert await speaking.run(connected.channels, 10.0) == "still here"


@pytest.mark.parametrize("granted", [1, 2])
async def test_the_limit_drops_to_what_the_server_grants(operator: Path, tmp_path: Path, granted: int) -> None:
    folder = tmp_path / "mean"
    folder.mkdir()
    with started(Sshd(folder, ME, settings=(f"MaxSessions {granted}",))) as sshd:
        async with connection(sshd.host(tmp_path), sshd.access(operator)) as connected, asyncio.timeout(20):
            commands = (f"sleep 0.1; echo {number}" for number in range(8))
            replies = await asyncio.gather(*(output_of(connected.channels, command) for command in commands))
    assert sorted(map(int, replies)) == list(range(8))


async def test_a_server_that_grants_no_channel_is_an_error(operator: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mean"
    folder.mkdir()
    with started(Sshd(folder, ME, settings=("MaxSessions 0",))) as sshd, pytest.raises(LinkDown, match="cannot be run"):
        await connect(sshd.host("~/host"), sshd.access(operator))


async def test_a_lost_connection_ends_every_wait(host: Host) -> None:
    async with host.open_connection() as (connected, _):
        waiting = [asyncio.create_task(output_of(connected.channels, "sleep 60")) for _ in range(2 * MAX_CHANNELS)]
        await asyncio.sleep(0)
        connected.channels.abort()
        async with asyncio.timeout(10):
            for outcome in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(outcome, (asyncssh.Error, OSError)), outcome


class _NeverClosed:
    """Connection to a server that does not answer any more."""

    aborted = False

    def close(self) -> None: ...

    async def wait_closed(self) -> None:
        await asyncio.Event().wait()

    def abort(self) -> None:
        self.aborted = True


async def test_a_connection_that_does_not_close_is_dropped_even_by_a_cancelled_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before Python 3.11.3 ``asyncio.timeout`` raises no TimeoutError in such a task."""
    monkeypatch.setattr(channels, "CLOSE_TIMEOUT_S", 0.01)
    silent = _NeverClosed()

    async def hold() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await close_connection(silent)  # type: ignore[arg-type]

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0)
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert silent.aborted
