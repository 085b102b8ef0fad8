"""A TCP proxy between console and server that does to a connection what networks do: cut, freeze, delay, throttle."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

CHUNK = 16384
MOST_UNDER_WAY = 256 * 1024  # bytes that the network holds: who sends more must wait
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes between its own ``port`` and ``target`` on the loopback.

    Attributes:
        round_trip: seconds that every byte takes there and back again, half in each direction.
        bandwidth: bytes a second in each direction; None is no limit.
        connections: how many were opened so far.
        dropped: how many were cut by ``cuts``.
        passed: bytes that arrived, both ways together.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.round_trip = 0.0
        self.bandwidth: float | None = None
        self.connections = 0
        self.dropped = 0
        self.passed = 0
        self._cuts: Iterator[int] = iter(())
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._streams: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    def cut_after(self, sizes: Iterator[int]) -> None:
        """Each connection from now on is cut once so many bytes have passed, until ``sizes`` ends.

        What is left of a size when a connection ends by itself is the next one's.
        """
        self._cuts = sizes

    def drop(self) -> None:
        """Cut every connection now, without a goodbye."""
        for writer in list(self._streams):
            _reset(writer)

    def freeze(self) -> None:
        """Nothing passes any more; connections stay open, and new ones are accepted and held."""
        self._flowing.clear()

    def thaw(self) -> None:
        """What was held back goes on its way."""
        self._flowing.set()

    async def end(self) -> None:
        """Cut everything, and wait until nothing of it is left."""
        self.round_trip, self.bandwidth = 0.0, None
        self.thaw()
        self.drop()
        if self._serving:
            await asyncio.wait(self._serving, timeout=5.0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        cut = _Cut(next(self._cuts, None))
        ends = [writer]
        self._streams.add(writer)
        try:
            await self._flowing.wait()
            server_reader, server_writer = await asyncio.open_connection(sock=await _connected(self.target))
            self._streams.add(server_writer)
            ends.append(server_writer)
            ways = (_Way(self, reader, server_writer, cut), _Way(self, server_reader, writer, cut))
            tasks = [asyncio.create_task(part) for way in ways for part in (way.leave(), way.arrive())]
            try:
                # a side that has ended is passed on when it arrives, a cut at once
                await asyncio.wait(tasks[1::2], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass
        finally:
            self.dropped += cut.connection
            if cut.remaining:
                self._cuts = itertools.chain((cut.remaining,), self._cuts)
            for end in ends:
                _reset(end)
                self._streams.discard(end)

    async def flowing(self) -> None:
        """Wait until nothing is frozen."""
        await self._flowing.wait()


class _Way:
    """One direction of a connection: a pipe with a delay, out of which bytes come as long after they went in as it takes."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: _Cut) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._cut = cut
        self._under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._held = 0
        self._room = asyncio.Event()

    async def leave(self) -> None:
        """Take in what is sent; an end of it, too, is something to pass on."""
        chunk = b"first"
        while chunk:
            try:
                chunk = await self._reader.read(CHUNK)
            except OSError:
                chunk = b""
            self._held += len(chunk)
            self._under_way.put_nowait((asyncio.get_running_loop().time() + self._proxy.round_trip / 2, chunk))
            while self._held > MOST_UNDER_WAY:
                self._room.clear()
                await self._room.wait()

    async def arrive(self) -> None:
        """Hand it on; returns at the end or at the cut."""
        while not self._cut.connection:
            due, chunk = await self._under_way.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            await self._proxy.flowing()
            if self._proxy.bandwidth is not None:
                await asyncio.sleep(len(chunk) / self._proxy.bandwidth)
            self._writer.write(chunk[: self._cut.left(len(chunk))])
            await self._writer.drain()
            if not chunk:
                return
            self._proxy.passed += len(chunk)
            self._held -= len(chunk)
            self._room.set()


class _Cut:
    """Counts a connection's bytes, both ways together, down to its end."""

    def __init__(self, size: int | None) -> None:
        self.remaining = size

    @property
    def connection(self) -> bool:
        return self.remaining == 0

    def left(self, wanted: int) -> int:
        """How many of ``wanted`` bytes may still pass; they count as passed."""
        if self.remaining is None:
            return wanted
        granted = min(wanted, self.remaining)
        self.remaining -= granted
        return granted


async def _connected(port: int) -> socket.socket:
    """A connection to ``port`` whose kernel takes in little ahead of us; that must be said before it comes about."""
    connecting = socket.socket()
    connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MOST_UNDER_WAY)
    connecting.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connecting, ("127.0.0.1", port))
    except BaseException:
        connecting.close()
        raise
    return connecting


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, as a connection ends that a middlebox forgot."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
    writer.transport.abort()


@asynccontextmanager
async def proxy_to(target: int) -> AsyncIterator[Proxy]:
    """A running proxy to ``target``."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
