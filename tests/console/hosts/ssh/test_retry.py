"""When a lost host is tried again."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from console.hosts.ssh.access import Timeouts
from console.hosts.ssh.errors import HostKeyChanged, HostKeyRefused, LinkDown, LoginRefused, Unreachable
from console.hosts.ssh.retry import Retry
from tests.console.hosts.sshd import free_port

DOWN = LinkDown("down")


def test_pauses_grow_from_one_to_thirty_seconds_and_differ() -> None:
    pauses = []
    for seed in range(20):
        retry = Retry(Timeouts(), random.Random(seed))
        pauses.append([retry.next_pause(DOWN, connected_before=True) or 0.0 for _ in range(2000)])
    longest = [max(column) for column in zip(*pauses, strict=True)]
    assert all(0.5 <= pause <= 1.0 for pause in (row[0] for row in pauses))
    assert longest[1] > longest[0] and max(longest) <= 30.0
    assert all(15.0 <= pause <= 30.0 for row in pauses for pause in row[5:])
    assert len({row[5] for row in pauses}) == 20


def test_a_link_that_worked_is_retried_soon() -> None:
    retry = Retry(Timeouts())
    for _ in range(10):
        retry.next_pause(DOWN, connected_before=True)
    retry.succeeded()
    pause = retry.next_pause(DOWN, connected_before=True)
    assert pause is not None and pause <= 1.0


@pytest.mark.parametrize(
    ("error", "connected_before", "stops"),
    [
        (HostKeyChanged(""), True, True),
        (HostKeyRefused(""), True, True),
        (LoginRefused(""), False, True),
        (LoginRefused(""), True, False),
        (LoginRefused("", operator_asked=True), True, True),
        (Unreachable(""), False, False),
        (LinkDown(""), False, False),
        (OSError(), False, False),
    ],
)
def test_what_a_person_must_settle_is_not_retried(error: Exception, connected_before: bool, stops: bool) -> None:
    assert (Retry(Timeouts()).next_pause(error, connected_before) is None) == stops


async def test_a_stop_lasts_until_requested() -> None:
    retry = Retry(Timeouts(backoff=(0.001, 0.001)))
    waiting = asyncio.create_task(retry.wait(None, HostKeyChanged("")))
    async with asyncio.timeout(5):
        await retry.stopped.wait()
        assert not (await asyncio.wait([waiting], timeout=0.05))[0]
        retry.now()
        await waiting
    assert not retry.stopped.is_set()


async def test_a_pause_ends_when_the_silent_port_answers() -> None:
    port = free_port()
    waiting = asyncio.create_task(Retry(Timeouts(probe=0.1)).wait(600.0, Unreachable("refused", ("127.0.0.1", port))))
    assert not (await asyncio.wait([waiting], timeout=0.3))[0]
    async with await asyncio.start_server(greet, "127.0.0.1", port), asyncio.timeout(5):
        await waiting


async def test_a_port_that_accepts_but_does_not_greet_is_no_return() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = ("127.0.0.1", silent.getsockname()[1])
        waiting = asyncio.create_task(Retry(Timeouts(probe=0.05)).wait(600.0, Unreachable("silent", address)))
        assert not (await asyncio.wait([waiting], timeout=0.5))[0]
        waiting.cancel()


async def test_a_host_that_answered_all_the_time_is_not_retried_early() -> None:
    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        address = ("127.0.0.1", server.sockets[0].getsockname()[1])
        waiting = asyncio.create_task(Retry(Timeouts(probe=0.05)).wait(600.0, LinkDown("cut", address)))
        assert not (await asyncio.wait([waiting], timeout=0.5))[0]
        waiting.cancel()


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-test\r\n")
    await writer.drain()
    writer.close()
