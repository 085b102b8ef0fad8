"""SSH connections to hosts: embedded or remote, through jump hosts, with every host key verified."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path, PurePosixPath

import asyncssh

from console.hosts.host_config import HostConfig
from console.hosts.ssh.access import Access
from console.hosts.ssh.channels import Channels, HostConnection, close_connection
from console.hosts.ssh.embedded_host import open_embedded
from console.hosts.ssh.errors import HostKeyRefused, LinkDown, LoginRefused, Misconfigured, link_error
from console.hosts.ssh.known_hosts import KnownHosts, confirm_host_key
from console.hosts.ssh.login import Login
from console.hosts.ssh.proxy_command import ProxyCommand
from console.hosts.ssh.remote_python import MarkedPython
from console.hosts.ssh.route import Hop, Route, resolve_route
from console.hosts.ssh.tcp import connect_tcp
from console.sanitize import sanitize_line

# Run on the host as MarkedPython: only the host knows what ``~``, variables and relative paths mean. Paths are hexadecimal
# digits in the reply, which is made safe to show and might be changed by it.
FIND_PATHS = """
import os, re, sys
path = os.path.expandvars(os.path.expanduser(sys.argv[3]))
left = re.match(r"~[^/]*", path) or re.search(r"\\$\\{?[A-Za-z_]\\w*\\}?", path)
paths = (os.path.abspath(path), sys.executable)
reply = "unknown " + left.group() if left else " ".join(os.fsencode(one).hex() for one in paths)
os.write(1, ("\\n" + sys.argv[2] + " " + reply + "\\n").encode("utf-8", "surrogateescape"))
"""


def open_connection(
    host: HostConfig,
    workspace: Path,
    access: Access | None = None,
    report: Callable[[Route], None] = lambda route: None,
) -> AbstractAsyncContextManager[HostConnection]:
    """Connect to ``host`` for the length of the block.

    Args:
        workspace: the embedded host's, unless ``host`` names one.
        access: SSH files and prompter; by default the operator's files, and no questions.
        report: called with the route before anything is connected.

    Raises:
        LinkDown: it cannot be reached, its key is not trusted, or it refuses the login; each is a subclass.
    """
    access = access or Access()
    if host.launcher == "embedded":
        return open_embedded(host, workspace, access.timeouts)
    return _open_remote(host, access, report)


@asynccontextmanager
async def _open_remote(
    host: HostConfig, access: Access, report: Callable[[Route], None]
) -> AsyncIterator[HostConnection]:
    route = await resolve_route(host, access.files)
    hops = route.hops
    report(route)
    probe_address = (hops[0].address, hops[0].port) if hops[0].direct else None
    async with AsyncExitStack() as opened:
        tunnel: asyncssh.SSHClientConnection | None = None
        for number, hop in enumerate(hops):
            try:
                tunnel = await _connect_verified(hop, tunnel, access, opened)
            except (OSError, ValueError, asyncssh.Error) as error:
                # a host behind a jump host cannot be probed, and the jump host's answer would say nothing about it
                raise link_error(error, route.hop_text(number), None if number else probe_address) from error
            opened.push_async_callback(close_connection, tunnel)
        assert tunnel is not None and host.workspace is not None
        channels = Channels(tunnel)
        opened.push_async_callback(channels.close)
        workspace, python = await _find_paths(host.workspace, host.python, channels, access.timeouts.handshake)
        key = tunnel.get_server_host_key()
        yield HostConnection(
            channels=channels,
            workspace=workspace,
            python=python,
            address=route.login,
            fingerprint=key.get_fingerprint() if key else "",
        )


async def _find_paths(workspace: str, python: str, channels: Channels, seconds: float) -> tuple[str, str]:
    """The host's paths of the workspace and of the Python, as ``hosts.toml`` names them.

    Raises:
        LinkDown: the Python cannot be run.
        Misconfigured: a user or variable in a path is unknown on the host.
    """
    if PurePosixPath(workspace).is_absolute() and "$" not in workspace and python[:1] != "~" and "$" not in python:
        return workspace, python
    reply = await MarkedPython(python, FIND_PATHS, workspace, expand=True).run(channels, seconds)
    first, _, second = reply.partition(" ")
    if first == "unknown":
        raise Misconfigured(f"workspace {sanitize_line(workspace)}: the host does not know {second}")
    try:
        found, executable = (bytes.fromhex(part).decode("utf-8", "surrogateescape") for part in (first, second))
    except ValueError:
        raise LinkDown(f"the host's reply to where the workspace is cannot be understood: {reply[:200]}") from None
    return found, executable


async def _connect_verified(
    hop: Hop, tunnel: asyncssh.SSHClientConnection | None, access: Access, opened: AsyncExitStack
) -> asyncssh.SSHClientConnection:
    """Connect to ``hop`` through ``tunnel``; its ProxyCommand, if it has one, ends with ``opened``.

    After the operator has confirmed an unknown key, the connection is made again, so that the key goes through the
    same verification as any other.
    """
    files = (*hop.known_hosts, access.files.own_known_hosts)
    while True:
        try:
            known = await asyncio.to_thread(KnownHosts.read, files, hop.revoked_keys, hop.authority_algorithms)
        except OSError as error:
            text = sanitize_line(f"{error.filename}: {error.strerror}")
            raise HostKeyRefused(f"known_hosts cannot be read, so no host key is trusted: {text}") from error
        connected = await _connect_once(hop, tunnel, access, known, opened)
        if isinstance(connected, asyncssh.SSHClientConnection):
            return connected
        await confirm_host_key(hop, connected, known, access)


async def _connect_once(
    hop: Hop,
    tunnel: asyncssh.SSHClientConnection | None,
    access: Access,
    known: KnownHosts,
    opened: AsyncExitStack,
) -> asyncssh.SSHClientConnection | asyncssh.SSHKey:
    """Connect and log in to ``hop`` once; returns the server's key instead of a connection if no file knows it."""
    timeouts = access.timeouts
    options = dict(hop.options)
    if not hop.host_key_algorithms_set:
        options["server_host_key_algs"] = known.host_key_algorithms(hop.known_as)
    sock: socket.socket | None = None
    proxy: ProxyCommand | None = None
    login: Login | None = None
    try:
        if hop.proxy_command is not None:
            proxy = await ProxyCommand.start(hop.proxy_command)
            sock = proxy.socket
        elif hop.direct:
            seconds = hop.connect_timeout or timeouts.connect
            sock = await connect_tcp(hop.address, hop.port, seconds, family=hop.family, local_address=hop.local_address)
        async with asyncio.timeout(max(timeouts.handshake, hop.connect_timeout or 0.0)) as deadline:
            login = Login(hop, access, deadline)
            connection = await asyncssh.connect(
                hop.address,
                hop.port,
                username=hop.user,
                config=None,  # all that it sets is in the hop
                **options,
                host_key_alias=hop.certified_as,
                proxy_command=None,
                sock=sock,
                tunnel=tunnel,
                client_factory=lambda: login,
                # looked up by name alone, since an address may be anybody's; never None, which would trust any key
                known_hosts=lambda *_: known.trusted(hop.known_as),
                client_keys=None,
                x509_trusted_certs=None,
                gss_kex=False,
                request_pty=False,
                agent_forwarding=False,
                x11_forwarding=False,
                # the deadline above replaces asyncssh's own: theirs would run on while the operator is being asked
                connect_timeout=None,
                login_timeout=0,
                keepalive_interval=timeouts.keepalive,
                keepalive_count_max=timeouts.keepalive_count_max,
            )
        if proxy is not None:
            opened.push_async_callback(proxy.stop)
            proxy = None
        return connection
    except asyncssh.HostKeyNotVerifiable as error:
        if login is not None and login.unknown_key is not None:
            return login.unknown_key
        raise HostKeyRefused(f"{hop.login}: {sanitize_line(str(error))}; not connected") from error
    except asyncssh.PermissionDenied as error:
        assert login is not None
        text = f"{hop.login} refuses the login of {hop.user}; tried {login.attempts_text}"
        raise LoginRefused(sanitize_line(text), login.operator_asked) from error
    except BaseException as error:
        if sock is not None:
            sock.close()
        if (
            isinstance(error, (OSError, asyncssh.Error))
            and (why := await _reason(hop, login, proxy, error)) is not None
        ):
            raise why from error
        raise
    finally:
        if proxy is not None:
            await proxy.stop()


async def _reason(hop: Hop, login: Login | None, proxy: ProxyCommand | None, error: Exception) -> LinkDown | None:
    """Why the connection failed, where more is known than ``error`` says; ends ``proxy``, which says the last of it."""
    if proxy is not None:
        await proxy.stop()
    if login is not None and (text := login.no_algorithm_text(error)):
        return Misconfigured(sanitize_line(f"{hop.login}: {text}"))
    if proxy is None:
        return None
    reason = proxy.last_error or ("no answer" if isinstance(error, TimeoutError) else "it ended without a message")
    text = sanitize_line(f"{hop.login}, by ProxyCommand: {reason}")
    return Misconfigured(text) if proxy.cannot_run else LinkDown(text)
