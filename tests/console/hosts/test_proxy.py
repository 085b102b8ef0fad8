"""The proxy that the fault tests rely on does what it is set to, without delay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.console.hosts.proxy import Proxy, proxy_to

HELLO = b"x" * 10_000


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """In front of a server that says ``HELLO``, sends back what it is sent, and never hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO)
        while chunk := await reader.read(65536):
            writer.write(chunk)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with proxy_to(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()


async def test_a_cut_is_made_at_its_byte_and_not_when_the_next_one_comes(proxy: Proxy) -> None:
    proxy.cut_after(iter([4_000]))
    reader, _ = await asyncio.open_connection("127.0.0.1", proxy.port)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        async with asyncio.timeout(5):
            await reader.readexactly(len(HELLO))
    assert proxy.dropped == 1
    reader, _ = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await reader.readexactly(len(HELLO)) == HELLO, "there was one cut"


async def test_a_round_trip_and_a_throughput_take_their_time(proxy: Proxy) -> None:
    proxy.round_trip, proxy.bandwidth = 0.2, 200_000.0
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    await reader.readexactly(len(HELLO))
    sent, began = bytes(50_000), time.monotonic()
    writer.write(sent)
    assert await reader.readexactly(len(sent)) == sent
    assert 0.2 + 0.25 <= time.monotonic() - began < 2.0
    writer.close()


async def test_a_frozen_connection_stays_open_and_continues_when_it_thaws(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    await reader.readexactly(len(HELLO))
    proxy.freeze()
    writer.write(b"ping")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await reader.read(1)
    proxy.thaw()
    assert await reader.readexactly(4) == b"ping"
    writer.close()
