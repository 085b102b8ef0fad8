"""SSH connections to hosts: embedded or remote, through jump hosts, with every host key verified."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path, PurePosixPath

import asyncssh

from console.hosts.host_config import HostConfig
from console.hosts.ssh.access import Access
from console.hosts.ssh.channels import Channels, HostConnection, hang_up
from console.hosts.ssh.embedded_host import open_embedded
from console.hosts.ssh.errors import HostKeyRefused, LoginRefused, explained
from console.hosts.ssh.known_hosts import KnownHosts, consent
from console.hosts.ssh.login import Login
from console.hosts.ssh.remote_python import MarkedPython
from console.hosts.ssh.route import Hop, Resolved, leg, resolved, route_to
from console.hosts.ssh.tcp import dial
from console.sanitize import sanitize_line


@asynccontextmanager
async def open_connection(
    host: HostConfig,
    workspace: Path,
    access: Access | None = None,
    report: Callable[[Resolved], None] = lambda resolved: None,
) -> AsyncIterator[HostConnection]:
    """Connect to ``host`` for the length of the block.

    Args:
        workspace: the embedded host's, unless ``host`` names one.
        access: with whose files, asking whom; the operator's files and nobody by default.
        report: told whom and what will be used, before it is.

    Raises:
        LinkDown: it cannot be reached, or it is not who it should be.
    """
    access = access or Access()
    if host.launcher == "embedded":
        async with open_embedded(host, workspace, access.timeouts) as connection:
            yield connection
    else:
        async with open_ssh(host, access, report) as connection:
            yield connection


CLOSE_S = 2.0
FIND_WORKSPACE = """
import os, sys
path = os.path.abspath(os.path.expanduser(sys.argv[3]))
os.write(1, ("\\n" + sys.argv[2] + " " + path + "\\n").encode("utf-8", "surrogateescape"))
"""


@asynccontextmanager
async def open_ssh(
    host: HostConfig, access: Access, report: Callable[[Resolved], None]
) -> AsyncIterator[HostConnection]:
    """Connect to ``host`` for the length of the block; ``report`` is told what will be used before it is.

    Raises:
        LinkDown: it cannot be reached, is not who it should be, or lets nobody in; each a class of its own.
    """
    hops = await route_to(host, access.files)
    report(resolved(hops))
    door = (hops[0].address, hops[0].port) if hops[0].knocks else None
    async with AsyncExitStack() as opened:
        tunnel: asyncssh.SSHClientConnection | None = None
        for number, hop in enumerate(hops):
            try:
                tunnel = await _verified(hop, tunnel, access)
            except (OSError, ValueError, asyncssh.Error) as error:
                # at what lies behind another host one cannot knock, and that one answering would be no sign of its return
                raise explained(error, leg(hops, number), None if number else door) from error
            opened.push_async_callback(hang_up, tunnel, CLOSE_S)
        assert tunnel is not None and host.workspace is not None
        channels = Channels(tunnel)
        opened.push_async_callback(channels.close, CLOSE_S)
        key = tunnel.get_server_host_key()
        yield HostConnection(
            channels=channels,
            workspace=await _find_workspace(channels, host.python, host.workspace, access.timeouts.handshake),
            python=host.python,
            address=sanitize_line(hops[-1].where),
            fingerprint=key.get_fingerprint() if key else "",
        )


async def _verified(
    hop: Hop, tunnel: asyncssh.SSHClientConnection | None, access: Access
) -> asyncssh.SSHClientConnection:
    """Connect to ``hop``; if its key is unknown and the operator consents to it, connect anew and verify it as any other."""
    files = (*hop.known_hosts, access.files.own_known_hosts)
    while True:
        try:
            known = await asyncio.to_thread(KnownHosts.read, files)
        except OSError as error:
            raise HostKeyRefused(f"known hosts cannot be read, so nobody is trusted: {error}") from error
        connected = await _attempt(hop, tunnel, access, known)
        if isinstance(connected, asyncssh.SSHClientConnection):
            return connected
        await consent(hop, connected, known, access)


async def _attempt(
    hop: Hop, tunnel: asyncssh.SSHClientConnection | None, access: Access, known: KnownHosts
) -> asyncssh.SSHClientConnection | asyncssh.SSHKey:
    """One attempt; the key that the server showed if no file knows it."""
    timeouts = access.timeouts
    order = {} if hop.algorithms_set else {"server_host_key_algs": known.algorithms(hop.known_as, hop.port)}
    dialled: socket.socket | None = None
    login: Login | None = None
    try:
        if hop.knocks:
            dialled = await dial(hop.address, hop.port, timeouts.dial, family=hop.family, source=hop.source)
        async with asyncio.timeout(timeouts.handshake) as deadline:
            login = Login(hop, access, deadline)
            # the name alone is looked up, and never None: that would trust any key
            return await asyncssh.connect(
                hop.name,
                **hop.asked_for,
                **order,
                sock=dialled,
                tunnel=tunnel,
                client_factory=lambda: login,
                known_hosts=lambda *_: known.trusted(hop.known_as, hop.port),
                client_keys=None,
                x509_trusted_certs=None,
                gss_kex=False,
                request_pty=False,
                agent_forwarding=False,
                x11_forwarding=False,
                connect_timeout=None,
                login_timeout=0,
                keepalive_interval=timeouts.keepalive,
                keepalive_count_max=timeouts.unanswered,
            )
    except asyncssh.HostKeyNotVerifiable as error:
        if login is not None and login.offered is not None:
            return login.offered
        raise HostKeyRefused(f"{hop.where}: {sanitize_line(str(error))}; not connected") from error
    except asyncssh.PermissionDenied as error:
        assert login is not None
        text = f"{hop.where} does not let {hop.user} in; tried {login.tried}"
        raise LoginRefused(sanitize_line(text), login.asked) from error
    except BaseException:
        if dialled is not None:
            dialled.close()
        raise


async def _find_workspace(channels: Channels, python: str, workspace: str, seconds: float) -> str:
    """The workspace as an absolute path there; one that begins at home or nowhere is looked up."""
    if PurePosixPath(workspace).is_absolute():
        return workspace
    return await MarkedPython(python, FIND_WORKSPACE, workspace).answer(channels, seconds)
