"""One SSH connection and the channels on it: the one place where they are counted."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncssh
from msgspec import Struct

MOST_CHANNELS = 6  # sshd grants 10 unless it is told otherwise


class Channels:
    """Opens channels on ``connection``, at most six at a time; who comes too early waits.

    A server that grants fewer is believed: after a refusal no more are asked of it than it had granted by then.
    """

    def __init__(self, connection: asyncssh.SSHClientConnection, most: int = MOST_CHANNELS) -> None:
        self._connection = connection
        self._most = most
        self._open = 0
        self._freed = asyncio.Event()
        self._watching: set[asyncio.Task[None]] = set()

    async def create_process(
        self, command: str, *, encoding: None = None, **settings: Any
    ) -> asyncssh.SSHClientProcess[bytes]:
        """Start ``command``, with asyncssh's ``settings``; its channel counts until it is closed.

        Raises:
            OSError, asyncssh.Error: the link is gone, or the server grants no channel at all.
        """
        lingering = iter((0.05, 0.1, 0.2, 0.4))  # a server counts a session until its process has ended
        while True:
            while self._open >= self._most:
                self._freed.clear()
                await self._freed.wait()
            self._open += 1
            try:
                process = await self._connection.create_process(command, encoding=encoding, **settings)
            except asyncssh.ChannelOpenError:
                self._free()
                if self._open:
                    self._most = self._open
                elif (pause := next(lingering, None)) is not None:
                    await asyncio.sleep(pause)
                else:
                    raise
            except BaseException:
                self._free()
                raise
            else:
                self._count_until_closed(process)
                return process

    def abort(self) -> None:
        """Cut the connection without a word to the other side."""
        self._connection.abort()

    async def close(self, seconds: float = 2.0) -> None:
        """Say goodbye; who does not answer within ``seconds`` is left."""
        await hang_up(self._connection, seconds)
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)

    def _count_until_closed(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        async def watch() -> None:
            try:
                await process.wait_closed()
            finally:
                self._free()

        task = asyncio.create_task(watch())
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    def _free(self) -> None:
        self._open -= 1
        self._freed.set()


async def hang_up(connection: asyncssh.SSHClientConnection, seconds: float) -> None:
    """Close ``connection``; after ``seconds`` without an answer, cut it."""
    connection.close()
    with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            await connection.wait_closed()
    connection.abort()


class HostConnection(Struct, frozen=True):
    """Its connection, its workspace as an absolute path, which Python runs its jobs, its verified key's hash."""

    channels: Channels
    workspace: str
    python: str
    address: str
    fingerprint: str
