"""The embedded host accepts its own client only, and the client accepts its own server only."""

from __future__ import annotations

import asyncio

import asyncssh
import psutil
import pytest

from console.hosts.ssh import embedded_host
from console.hosts.ssh.embedded_host import embedded_server
from tests.console.hosts.conftest import Host

pytestmark = pytest.mark.server


async def test_another_client_key_is_refused() -> None:
    async with embedded_server() as (port, host_key, _):
        known = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {host_key}\n")
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(
                "127.0.0.1",
                port,
                username="operator",
                client_keys=[asyncssh.generate_private_key("ssh-ed25519")],
                known_hosts=known,
                config=None,
                agent_path=None,
            )


async def test_a_password_is_refused() -> None:
    async with embedded_server() as (port, host_key, _):
        known = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {host_key}\n")
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(
                "127.0.0.1", port, username="root", password="", client_keys=None, known_hosts=known, config=None
            )


async def test_a_server_with_another_host_key_is_refused() -> None:
    async with embedded_server() as (port, _, client_key):
        stranger = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            await asyncssh.connect(
                "127.0.0.1",
                port,
                username="operator",
                client_keys=[client_key],
                known_hosts=asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {stranger}\n"),
                config=None,
            )


async def test_the_server_listens_on_the_loopback_only() -> None:
    async with embedded_server() as (port, _, _):
        listening = {(entry.laddr.ip, entry.laddr.port) for entry in psutil.net_connections("tcp") if entry.laddr}
        assert {ip for ip, at in listening if at == port} == {"127.0.0.1"}


async def test_a_server_that_does_not_stop_is_killed_even_by_a_cancelled_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Python 3.11.3 ``asyncio.timeout`` raises no TimeoutError in such a task."""
    monkeypatch.setattr(embedded_host, "STOP_TIMEOUT_S", 0.05)
    earlier, started = set(psutil.Process().children()), asyncio.Event()

    async def hold() -> None:
        async with embedded_server():
            started.set()
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    await started.wait()
    (server,) = set(psutil.Process().children()) - earlier
    server.suspend()
    try:
        holding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holding
        assert not server.is_running()
    finally:
        if server.is_running():
            server.kill()


async def test_a_damaged_agent_on_the_host_is_replaced_before_it_is_used(host: Host) -> None:
    async with host.open_connection():
        pass
    (agent,) = (host.workspace / "agent").glob("*.pyz")
    content = agent.read_bytes()
    agent.write_bytes(content.replace(b"import signal", b"import sIgnal"))
    async with host.open_connection() as (_, link):
        assert (await link.request("facts"))["workspace"] == str(host.workspace)
    assert agent.read_bytes() == content
