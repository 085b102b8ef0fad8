"""Embedded SSH server: a process that listens on the loopback for one client with one key.

Its argument is the client's public key. It writes one line on stdout, its port and its public host key, and ends when
stdin does, so it never outlives its console. Runs continue, since their supervisors are detached.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import sys

import asyncssh

CHUNK = 1 << 18


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
    with contextlib.closing(stdin), contextlib.suppress(OSError, asyncssh.Error):
        while chunk := await channel.stdin.read(CHUNK):
            stdin.write(chunk)
            await stdin.drain()


async def _forward_output(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
    """Copy the command's output to the client; without a client the rest is discarded, so the command never blocks."""
    with contextlib.suppress(OSError, asyncssh.Error):
        while chunk := await source.read(CHUNK):
            sink.write(chunk)
            await sink.drain()
    while await source.read(CHUNK):
        pass


async def _serve(client_key: str) -> None:
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        authorized_client_keys=asyncssh.import_authorized_keys(client_key),
        server_host_keys=[host_key],
        process_factory=_run_command,
        encoding=None,
        allow_pty=False,
        x11_forwarding=False,
        agent_forwarding=False,
        keepalive_interval=5,
        keepalive_count_max=3,
    )
    print(server.get_port(), host_key.export_public_key().decode().strip(), flush=True)
    await stdin.read()
    server.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(sys.argv[1]))
