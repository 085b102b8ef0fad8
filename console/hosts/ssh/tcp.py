"""TCP connections to a host, and knocking at its port to learn whether it is back."""

from __future__ import annotations

import asyncio
import socket

STAGGER_S = 0.25


async def dial(
    address: str, port: int, seconds: float, *, family: int = socket.AF_UNSPEC, source: tuple[str, int] | None = None
) -> socket.socket:
    """A connected, non-blocking socket: every address of the name is tried, each a little after the one before.

    Raises:
        TimeoutError: nothing answered within ``seconds``.
        OSError: the name cannot be resolved, or no address of it can be connected to.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        found = await loop.getaddrinfo(address, port, family=family, type=socket.SOCK_STREAM)
        attempts = [
            asyncio.create_task(_connect(kind, place, number * STAGGER_S, source))
            for number, (kind, _, _, _, place) in enumerate(found)
        ]
        connected = None
        try:
            connected = await _first(attempts)
            return connected
        finally:
            for attempt in attempts:
                attempt.cancel()
            for late in await asyncio.gather(*attempts, return_exceptions=True):
                if isinstance(late, socket.socket) and late is not connected:
                    late.close()


async def answers(address: str, port: int, seconds: float) -> bool:
    """Whether an SSH server greets at that port within ``seconds``; a port that only accepts is not an answer."""
    try:
        async with asyncio.timeout(seconds):
            with await dial(address, port, seconds) as knocking:
                greeting = await asyncio.get_running_loop().sock_recv(knocking, 255)
    except (OSError, TimeoutError):
        return False
    return bool(greeting)


async def _connect(
    family: int, place: tuple[object, ...], delay: float, source: tuple[str, int] | None
) -> socket.socket:
    await asyncio.sleep(delay)
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        if source is not None:
            connecting.bind(source)
        await asyncio.get_running_loop().sock_connect(connecting, place)
    except BaseException:
        connecting.close()
        raise
    return connecting


async def _first(attempts: list[asyncio.Task[socket.socket]]) -> socket.socket:
    """The first connection that comes about; the first address's error if none does."""
    waiting: set[asyncio.Task[socket.socket]] = set(attempts)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for attempt in done:
            if attempt.exception() is None:
                return attempt.result()
    raise attempts[0].exception() or OSError("no address")
