"""Connections to a real OpenSSH server: what is reported before, and the errors when it fails."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.hosts.host_config import HostConfig
from console.hosts.ssh.access import Timeouts
from console.hosts.ssh.errors import LinkDown, Misconfigured, Unreachable
from console.hosts.ssh.route import Route
from tests.console.hosts.sshd import ME, Sshd, connect, connection, free_port, open_folder, started

pytestmark = pytest.mark.server


async def test_the_route_is_reported_before_it_is_used(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    config = f"Host ramp\n Hostname 127.0.0.1\n Port {sshd.port}\n User {sshd.user}\n IdentityFile {sshd.identity}\n"
    access = sshd.access(operator, config=config)
    host = HostConfig("RAMP", "ssh", address="ramp", workspace=str(tmp_path / "host"))
    reported: list[Route] = []
    sshd.stop()
    with pytest.raises(Unreachable):
        await connect(host, access, reported)
    assert [route.text for route in reported] == [f"{sshd.user}@127.0.0.1:{sshd.port}, with key {sshd.identity}"]
    sshd.start()
    assert await connect(host, access) == sshd.host_keys[0].get_fingerprint()


async def test_hosts_toml_overrides_the_ssh_configuration(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    config = "Host *\n Port 1\n User nobody\n IdentityFile /nowhere\n RequestTTY force\n RemoteCommand false\n"
    assert await connect(sshd.host(tmp_path / "host"), sshd.access(operator, config=config))


async def test_a_refused_connection(operator: Path, tmp_path: Path, sshd: Sshd) -> None:
    host = sshd.host(tmp_path, port=free_port())
    with pytest.raises(Unreachable, match=rf"{ME}@127\.0\.0\.1:{host.port}: connection refused") as caught:
        await connect(host, sshd.access(operator))
    assert caught.value.probe_address == ("127.0.0.1", host.port)


@pytest.mark.parametrize(
    ("number", "error", "text"),
    [
        (socket.EAI_NONAME, Misconfigured, "there is no host of that name"),
        (socket.EAI_AGAIN, Unreachable, "the name cannot be resolved"),
    ],
    ids=["no such name", "no answer of a name server"],
)
async def test_a_name_that_cannot_be_resolved(
    operator: Path,
    tmp_path: Path,
    sshd: Sshd,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[LinkDown],
    text: str,
) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    with pytest.raises(error, match=rf"@ramp:[0-9]+: {text}"):
        await connect(replace(sshd.host(tmp_path), address="ramp"), sshd.access(operator))


async def test_a_port_that_accepts_and_stays_silent(operator: Path, tmp_path: Path, sshd: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = sshd.host(tmp_path, port=silent.getsockname()[1])
        with pytest.raises(Unreachable, match="no answer"):
            await connect(host, sshd.access(operator, timeouts=Timeouts(handshake=0.2)))


async def test_a_port_where_something_else_answers(operator: Path, tmp_path: Path, sshd: Sshd) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 \x1b[31mBad Request\r\n\r\n" * 2000)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host = sshd.host(tmp_path, port=server.sockets[0].getsockname()[1])
        with pytest.raises(LinkDown) as caught:
            await connect(host, sshd.access(operator))
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


async def test_a_missing_python(operator: Path, tmp_path: Path, sshd: Sshd) -> None:
    with pytest.raises(LinkDown, match=r"python9.*not found"):
        await connect(replace(sshd.host("~/host"), python="python9"), sshd.access(operator))


async def test_a_python_with_shell_characters_is_one_path(operator: Path, tmp_path: Path, sshd: Sshd) -> None:
    command = f"python3; touch {tmp_path}/there"
    with pytest.raises(LinkDown, match=rf"python3; touch {tmp_path}/there: not found|No such file"):
        await connect(replace(sshd.host("~/host"), python=command), sshd.access(operator))
    assert not (tmp_path / "there").exists()


async def test_a_configuration_that_cannot_be_read(operator: Path, tmp_path: Path, sshd: Sshd) -> None:
    with pytest.raises(LinkDown, match=r"the ssh configuration for 127\.0\.0\.1: .*line 1"):
        await connect(sshd.host(tmp_path), sshd.access(operator, config="Match nonsense x\n"))


async def test_a_workspace_may_begin_at_the_home_folder(user: str, operator: Path) -> None:
    with open_folder() as folder, started(Sshd(folder, user)) as sshd:
        async with connection(sshd.host("~/qllm runs"), sshd.access(operator)) as connected:
            assert connected.workspace == str(Path(f"~{user}").expanduser() / "qllm runs")
