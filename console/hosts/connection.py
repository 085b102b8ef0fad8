"""A verified SSH connection to a host; for the embedded host, with the server's process behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
from msgspec import Struct

from console.hosts.host_config import HostConfig
from console.sanitize import sanitize_line

CONNECT_TIMEOUT_S = 15.0
KEEPALIVE_S = 5
KEEPALIVE_MISSES = 3


class LinkDown(Exception):
    """The host cannot be reached, or stopped answering; what runs there goes on."""


class Reached(Struct, frozen=True):
    """A host that was reached: its connection, where its workspace is, which Python runs its jobs, its key's hash."""

    connection: asyncssh.SSHClientConnection
    workspace: str
    python: str
    address: str
    fingerprint: str


@asynccontextmanager
async def reach(host: HostConfig, workspace: Path) -> AsyncIterator[Reached]:
    """Connect to ``host`` for the length of the block; ``workspace`` is the embedded host's unless ``host`` names one.

    Raises:
        LinkDown: it cannot be reached, or it is not who it should be.
    """
    async with _embedded_server() as (port, host_key, client_key):
        known_hosts = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {host_key}\n")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                connection = await asyncssh.connect(
                    "127.0.0.1",
                    port,
                    username="operator",
                    client_keys=[client_key],
                    known_hosts=known_hosts,
                    config=None,
                    agent_path=None,
                    keepalive_interval=KEEPALIVE_S,
                    keepalive_count_max=KEEPALIVE_MISSES,
                )
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise LinkDown(f"the embedded host cannot be reached: {sanitize_line(str(error))}") from error
        try:
            yield Reached(
                connection=connection,
                workspace=str((Path(host.workspace).expanduser() if host.workspace else workspace).absolute()),
                python=sys.executable,
                address=f"127.0.0.1:{port}",
                fingerprint=asyncssh.import_public_key(host_key).get_fingerprint(),
            )
        finally:
            connection.close()
            with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
                async with asyncio.timeout(2.0):
                    await connection.wait_closed()


@asynccontextmanager
async def _embedded_server() -> AsyncIterator[tuple[int, str, asyncssh.SSHKey]]:
    """Start the embedded server; yields its port, its public host key, and the only client key that it accepts."""
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "console.hosts.embedded_server",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl+C in the terminal is the console's
    )
    assert server.stdin is not None and server.stdout is not None
    try:
        public = client_key.export_public_key().decode()
        server.stdin.write(json.dumps({"client_key": public}).encode() + b"\n")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                said = json.loads(await server.stdout.readline())
            port, host_key = int(said["port"]), str(said["host_key"])
        except (ValueError, KeyError, TypeError, TimeoutError) as error:
            raise LinkDown("the embedded host did not start") from error
        yield port, host_key, client_key
    finally:
        server.stdin.close()
        try:
            async with asyncio.timeout(2.0):
                await server.wait()
        except TimeoutError:
            server.kill()
            await server.wait()
