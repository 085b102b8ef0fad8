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
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes between its own ``port`` and ``target`` on the loopback.

    Attributes:
        round_trip: seconds that every byte takes there and back again, half in each direction.
        bandwidth: bytes a second in each direction; None is no limit.
        connections: how many were opened so far.
        dropped: how many were cut by ``cuts``.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.round_trip = 0.0
        self.bandwidth: float | None = None
        self.connections = 0
        self.dropped = 0
        self._cuts: Iterator[int] = iter(())
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._streams: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        cut = _Cut(next(self._cuts, None))
        ends = [writer]
        self._streams.add(writer)
        try:
            await self._flowing.wait()
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self._streams.add(server_writer)
            ends.append(server_writer)
            ways = (self._pass(reader, server_writer, cut), self._pass(server_reader, writer, cut))
            tasks = [asyncio.create_task(way) for way in ways]
            self._tasks |= set(tasks)
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._tasks -= set(tasks)
        except OSError:
            pass
        finally:
            self.dropped += cut.reached
            if cut.remaining:
                self._cuts = itertools.chain((cut.remaining,), self._cuts)
            for end in ends:
                _reset(end)
                self._streams.discard(end)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: _Cut) -> None:
        """One direction; a pipe with a delay: bytes leave it as long after they came in as the way takes."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def arrive() -> None:
            while True:
                due, chunk = await under_way.get()
                await asyncio.sleep(due - loop.time())
                await self._flowing.wait()
                if self.bandwidth is not None:
                    await asyncio.sleep(len(chunk) / self.bandwidth)
                writer.write(chunk[: cut.left(len(chunk))])
                await writer.drain()
                if cut.reached:
                    return
                if not chunk:
                    return

        arriving = asyncio.create_task(arrive())
        try:
            while not arriving.done():
                chunk = await reader.read(CHUNK)
                under_way.put_nowait((loop.time() + self.round_trip / 2, chunk))
                if not chunk:
                    break
            await arriving
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            arriving.cancel()
            await asyncio.gather(arriving, return_exceptions=True)


class _Cut:
    """Counts a connection's bytes, both ways together, down to its end."""

    def __init__(self, size: int | None) -> None:
        self.remaining = size

    @property
    def reached(self) -> bool:
        return self.remaining == 0

    def left(self, wanted: int) -> int:
        """How many of ``wanted`` bytes may still pass; they count as passed."""
        if self.remaining is None:
            return wanted
        granted = min(wanted, self.remaining)
        self.remaining -= granted
        return granted


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
        proxy.thaw()
        proxy.drop()
