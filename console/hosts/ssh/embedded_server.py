"""Embedded SSH server: a process that listens on the loopback for one client with one key.

It reads one line on stdin, ``{"client_key": ...}``, and writes one on stdout, ``{"port": ..., "host_key": ...}``. It ends
when stdin does, so it never outlives its console. Runs continue, since their supervisors are detached.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import sys

import asyncssh

CHUNK = 1 << 18


class _Server(asyncssh.SSHServer):
    """Accepts one public key, and no password."""

    def __init__(self, client_key: asyncssh.SSHKey) -> None:
        self._client_key = client_key

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key.public_data == self._client_key.public_data

    def password_auth_supported(self) -> bool:
        return False


async def _run_command(channel: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run the command of an exec request as this user, without a shell."""
    try:
        argv = shlex.split(channel.command or "")
        child = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except (OSError, ValueError, TypeError) as error:
        channel.stderr.write(f"{channel.command}: {error}\n".encode())
        channel.exit(127)
        return
    assert child.stdin and child.stdout and child.stderr
    forwarding = asyncio.create_task(_forward_input(channel, child.stdin))
    try:
        await asyncio.gather(
            _forward_output(child.stdout, channel.stdout), _forward_output(child.stderr, channel.stderr)
        )
        channel.exit(await child.wait())
    finally:
        forwarding.cancel()
        if child.returncode is None:  # the channel was closed: end its command
            with contextlib.suppress(ProcessLookupError):
                child.terminate()


async def _forward_input(channel: asyncssh.SSHServerProcess[bytes], stdin: asyncio.StreamWriter) -> None:
    """Copy the client's input to the command, and close the command's stdin at its end.

    asyncssh's own redirection drops the whole connection if a client closes a channel before its command ends.
    """
    try:
        while chunk := await channel.stdin.read(CHUNK):
            stdin.write(chunk)
            await stdin.drain()
    except (OSError, asyncssh.Error):
        pass
    finally:
        stdin.close()


async def _forward_output(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
    """Copy the command's output to the client; without a client the rest is discarded, so the command never blocks."""
    connected = True
    while chunk := await source.read(CHUNK):
        try:
            if connected:
                sink.write(chunk)
                await sink.drain()
        except (OSError, asyncssh.Error):
            connected = False


async def _serve() -> None:
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    client_key = asyncssh.import_public_key(json.loads(await stdin.readline())["client_key"])
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: _Server(client_key),
        server_host_keys=[host_key],
        process_factory=_run_command,
        encoding=None,
        allow_pty=False,
        x11_forwarding=False,
        agent_forwarding=False,
        keepalive_interval=5,
        keepalive_count_max=3,
    )
    public = host_key.export_public_key().decode().strip()
    print(json.dumps({"port": server.get_port(), "host_key": public}), flush=True)
    while await stdin.read(4096):
        pass
    server.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
