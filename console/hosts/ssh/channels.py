"""Channels of one SSH connection, limited to what the server grants."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncssh
from msgspec import Struct

MAX_CHANNELS = 6  # sshd's default MaxSessions is 10
CLOSE_TIMEOUT_S = 2.0


class Channels:
    """Opens channels on ``connection``, at most six at a time; further requests wait.

    After a refusal the limit drops to the number that the server had granted by then.

    Attributes:
        given_up: identities of processes on the host that stood still; the next transfer there kills them.
    """

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self.given_up: list[dict[str, Any]] = []
        self._connection = connection
        self._limit = MAX_CHANNELS
        self._open = 0
        self._freed = asyncio.Event()
        self._watchers: set[asyncio.Task[None]] = set()

    async def create_process(self, command: str, **settings: Any) -> asyncssh.SSHClientProcess[bytes]:
        """Start ``command``, with asyncssh's ``settings``, as soon as a channel is free.

        Raises:
            OSError, asyncssh.Error: the link is gone, or the server grants no channel at all.
        """
        # a server counts a session until its process has ended, which may be a moment after its channel has closed
        retry_pauses = iter((0.05, 0.1, 0.2, 0.4))
        while True:
            while self._open >= self._limit:
                self._freed.clear()
                await self._freed.wait()
            self._open += 1
            try:
                process = await self._connection.create_process(command, encoding=None, **settings)
            except asyncssh.ChannelOpenError:
                self._free()
                if self._open:
                    self._limit = self._open
                elif (pause := next(retry_pauses, None)) is not None:
                    await asyncio.sleep(pause)
                else:
                    raise
            except BaseException:
                self._free()
                raise
            else:
                task = asyncio.create_task(self._free_when_closed(process))
                self._watchers.add(task)
                task.add_done_callback(self._watchers.discard)
                return process

    def abort(self) -> None:
        """Drop the connection without telling the server."""
        self._connection.abort()

    async def close(self) -> None:
        """Close the connection."""
        await close_connection(self._connection)
        for task in self._watchers:
            task.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    async def _free_when_closed(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        try:
            await process.wait_closed()
        finally:
            self._free()

    def _free(self) -> None:
        self._open -= 1
        self._freed.set()


async def close_connection(connection: asyncssh.SSHClientConnection) -> None:
    """Close ``connection``; drop it if the server does not answer in time."""
    connection.close()
    closing = asyncio.ensure_future(connection.wait_closed())
    try:
        # no asyncio.timeout: before Python 3.11.3 it raises no TimeoutError in a task that is being cancelled
        await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT_S)
    finally:
        connection.abort()
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)


class HostConnection(Struct, frozen=True):
    """An open, verified connection to a host.

    Attributes:
        workspace: absolute path on the host.
        python: the host's Python, which runs the agent.
        address: ``user@address:port``, safe to show.
        fingerprint: SHA-256 of its verified host key, as OpenSSH writes it.
    """

    channels: Channels
    workspace: str
    python: str
    address: str
    fingerprint: str
