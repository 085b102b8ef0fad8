"""A TCP proxy between console and server that disturbs connections like a real network: cut, freeze, delay, throttle."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

CHUNK = 16384
MAX_IN_FLIGHT = 256 * 1024  # bytes that the network holds: a sender of more must wait
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes between its own ``port`` and ``target`` on the loopback.

    Attributes:
        round_trip: seconds; each byte is delayed by half of it in each direction.
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
        """Cut every connection now, without a proper end."""
        for writer in list(self._streams):
            _reset(writer)

    def freeze(self) -> None:
        """Nothing passes any more; connections stay open, and new ones are accepted and held."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Pass on what was held back, and everything after it."""
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
            directions = (_Direction(self, reader, server_writer, cut), _Direction(self, server_reader, writer, cut))
            tasks = [
                asyncio.create_task(part)
                for direction in directions
                for part in (direction.receive(), direction.deliver())
            ]
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
            self.dropped += cut.is_due
            if cut.remaining:
                self._cuts = itertools.chain((cut.remaining,), self._cuts)
            for end in ends:
                _reset(end)
                self._streams.discard(end)

    async def flowing(self) -> None:
        """Wait until nothing is frozen."""
        await self._flowing.wait()


class _Direction:
    """One direction of a connection: a queue from which bytes are delivered half a round trip after they were received."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: _Cut) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._cut = cut
        self._in_flight: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._held = 0
        self._has_room = asyncio.Event()

    async def receive(self) -> None:
        """Queue what is sent; the end of the stream is queued too, as an empty chunk."""
        chunk = b"first"
        while chunk:
            try:
                chunk = await self._reader.read(CHUNK)
            except OSError:
                chunk = b""
            self._held += len(chunk)
            self._in_flight.put_nowait((asyncio.get_running_loop().time() + self._proxy.round_trip / 2, chunk))
            while self._held > MAX_IN_FLIGHT:
                self._has_room.clear()
                await self._has_room.wait()

    async def deliver(self) -> None:
        """Deliver what is queued; returns at the end of the stream or at the cut."""
        while not self._cut.is_due:
            due, chunk = await self._in_flight.get()
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
            self._has_room.set()


class _Cut:
    """Counts a connection's bytes, both ways together, down to its end."""

    def __init__(self, size: int | None) -> None:
        self.remaining = size

    @property
    def is_due(self) -> bool:
        return self.remaining == 0

    def left(self, wanted: int) -> int:
        """How many of ``wanted`` bytes may still pass; they count as passed."""
        if self.remaining is None:
            return wanted
        granted = min(wanted, self.remaining)
        self.remaining -= granted
        return granted


async def _connected(port: int) -> socket.socket:
    """A connection to ``port`` with a small receive buffer, which must be set before it is established."""
    connecting = socket.socket()
    connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MAX_IN_FLIGHT)
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
