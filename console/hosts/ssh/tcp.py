"""TCP connections to a host, and a probe that tells whether its SSH server is back."""

from __future__ import annotations

import asyncio
import contextlib
import socket

STAGGER_S = 0.25  # RFC 8305's connection attempt delay


async def connect_tcp(
    host: str, port: int, seconds: float, *, family: int = 0, local_address: tuple[str, int] | None = None
) -> socket.socket:
    """A connected, non-blocking socket: all addresses of the name are tried, each a little after the previous one.

    Raises:
        TimeoutError: nothing answered within ``seconds``.
        OSError: the name cannot be resolved, or none of its addresses can be connected to.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        attempts = [
            asyncio.create_task(_connect(kind, address, number * STAGGER_S, local_address))
            for number, (kind, _, _, _, address) in enumerate(found)
        ]
        connected = None
        try:
            for attempt in asyncio.as_completed(attempts):
                with contextlib.suppress(OSError):
                    connected = await attempt
                    return connected
            return await attempts[0]  # none has connected: raises the first address's error
        finally:
            for pending in attempts:
                pending.cancel()
            # a second address may have connected in the same moment: its socket must not leak
            for late in await asyncio.gather(*attempts, return_exceptions=True):
                if isinstance(late, socket.socket) and late is not connected:
                    late.close()


async def ssh_server_answers(host: str, port: int, seconds: float) -> bool:
    """Whether an SSH server sends its greeting within ``seconds``; a port that only accepts does not count."""
    try:
        async with asyncio.timeout(seconds):
            with await connect_tcp(host, port, seconds) as probe:
                return bool(await asyncio.get_running_loop().sock_recv(probe, 255))
    except OSError:  # TimeoutError is one
        return False


async def _connect(
    family: int, address: tuple[object, ...], delay: float, local_address: tuple[str, int] | None
) -> socket.socket:
    await asyncio.sleep(delay)
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        if local_address is not None:
            connecting.bind(local_address)
        await asyncio.get_running_loop().sock_connect(connecting, address)
    except BaseException:
        connecting.close()
        raise
    return connecting
