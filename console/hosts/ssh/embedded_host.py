"""Client side of the embedded host: starts its SSH server as a child process, and connects to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh

from console.hosts.agent.job_environment import passed_on
from console.hosts.host_config import HostConfig
from console.hosts.ssh.access import Timeouts
from console.hosts.ssh.channels import Channels, HostConnection
from console.hosts.ssh.errors import LinkDown
from console.hosts.ssh.route import CIPHERS
from console.sanitize import sanitize_line
from engine.contract.import_path import isolated_python

START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 2.0


@asynccontextmanager
async def open_embedded(host: HostConfig, workspace: Path, timeouts: Timeouts) -> AsyncIterator[HostConnection]:
    """Start the embedded server and connect to it; ``workspace`` is used unless ``host`` names one.

    Raises:
        LinkDown: it does not start or cannot be reached.
    """
    async with embedded_server(host.environment) as (port, host_key, client_key):
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                connection = await asyncssh.connect(
                    "127.0.0.1",
                    port,
                    username="operator",
                    client_keys=[client_key],
                    known_hosts=asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {host_key}\n"),
                    config=None,
                    agent_path=None,
                    encryption_algs=CIPHERS,
                    keepalive_interval=timeouts.keepalive,
                    keepalive_count_max=timeouts.keepalive_count_max,
                )
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise LinkDown(f"the embedded host cannot be reached: {sanitize_line(str(error))}") from error
        channels = Channels(connection)
        if not host.workspace:
            with contextlib.suppress(OSError):  # there is none yet, and the agent makes it as private
                workspace.chmod(0o700)  # one that an earlier version made is open to all
        try:
            yield HostConnection(
                channels=channels,
                workspace=str((Path(host.workspace) if host.workspace else workspace).absolute()),
                python=sys.executable,
                address=f"127.0.0.1:{port}",
                fingerprint=asyncssh.import_public_key(host_key).get_fingerprint(),
            )
        finally:
            await channels.close()


@asynccontextmanager
async def embedded_server(environment: Collection[str] = ()) -> AsyncIterator[tuple[int, str, asyncssh.SSHKey]]:
    """Start the embedded server; yields its port, its public host key, and the only client key that it accepts.

    Args:
        environment: variables of this process that it gets beside those that a job needs.
    """
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncio.create_subprocess_exec(
        *isolated_python(),
        "-m",
        "console.hosts.ssh.embedded_server",
        client_key.export_public_key().decode().strip(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl+C in the terminal must not end it
        env=passed_on(os.environ, environment),
    )
    assert server.stdin is not None and server.stdout is not None
    try:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                number, host_key = (await server.stdout.readline()).decode().strip().split(" ", 1)
            port = int(number)
        except (ValueError, TimeoutError) as error:
            raise LinkDown("the embedded host did not start") from error
        yield port, host_key, client_key
    finally:
        server.stdin.close()
        stopping = asyncio.create_task(server.wait())
        # no asyncio.timeout: before Python 3.11.3 it raises no TimeoutError in a task that is being cancelled
        await asyncio.wait({stopping}, timeout=STOP_TIMEOUT_S)
        if server.returncode is None:
            server.kill()
        await stopping
