"""Routes to a host through jump hosts, over real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.hosts.ssh.errors import HostKeyChanged, LinkDown, Unreachable
from console.hosts.ssh.route import Route
from tests.console.hosts.sshd import ME, ScriptedPrompter, Sshd, connect, connection, free_port, started


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Sshd]:
    (tmp_path / "gate").mkdir()
    with started(Sshd(tmp_path / "gate", ME)) as server:
        yield server


def config_of(gate: Sshd, more: str = "") -> str:
    return f"Host gate\n Hostname 127.0.0.1\n Port {gate.port}\n User {ME}\n IdentityFile {gate.identity}\n{more}"


async def test_every_jump_host_is_verified(sshd: Sshd, gate: Sshd, operator: Path, tmp_path: Path) -> None:
    prompter = ScriptedPrompter("yes", "yes")
    access = sshd.access(operator, prompter, known=False, config=config_of(gate))
    reported: list[Route] = []
    host = replace(sshd.host(tmp_path), jump="gate")
    assert await connect(host, access, reported) == sshd.host_keys[0].get_fingerprint()
    assert f" via {ME}@127.0.0.1:{gate.port}, with " in reported[0].text
    assert [question.title.split(":")[-1] for question in prompter.questions] == [str(gate.port), str(sshd.port)]
    assert access.files.own_known_hosts.read_text() == gate.known_hosts_line() + sshd.known_hosts_line()
    assert "Accepted publickey" in gate.log() and "Accepted publickey" in sshd.log()


async def test_a_changed_key_of_a_jump_host_stops_before_the_host(
    sshd: Sshd, gate: Sshd, operator: Path, tmp_path: Path
) -> None:
    access = sshd.access(operator, config=config_of(gate))
    (operator / "known_hosts").write_text(sshd.known_hosts_line() + sshd.known_hosts_line(port=gate.port))
    with pytest.raises(HostKeyChanged, match=str(gate.port)):
        await connect(replace(sshd.host(tmp_path), jump="gate"), access)
    assert "publickey" not in sshd.log()


async def test_the_configuration_gives_the_jump_host(sshd: Sshd, gate: Sshd, operator: Path, tmp_path: Path) -> None:
    config = config_of(gate, f"Host 127.0.0.1\n ProxyJump {ME}@gate:{gate.port}\n")
    access = sshd.access(operator, ScriptedPrompter("yes"), config=config)
    await connect(sshd.host(tmp_path), access)
    assert "Accepted publickey" in gate.log()
    assert await connect(replace(sshd.host(tmp_path), jump="none"), access)


async def test_jump_hosts_in_a_circle_are_detected(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    access = sshd.access(operator, config="Host a\n ProxyJump b\nHost b\n ProxyJump a\n")
    with pytest.raises(LinkDown, match="circle"):
        await connect(replace(sshd.host(tmp_path), jump="a"), access)


async def test_an_error_names_the_hop_that_failed(sshd: Sshd, gate: Sshd, operator: Path, tmp_path: Path) -> None:
    access = sshd.access(operator, ScriptedPrompter("yes"), config=config_of(gate))
    host = replace(sshd.host(tmp_path), jump="gate", port=free_port())
    target, jump = rf"{ME}@127\.0\.0\.1:{host.port}", rf"{ME}@127\.0\.0\.1:{gate.port}"
    with pytest.raises(LinkDown, match=f"^{target}, via {jump}: the jump host refuses to connect to it") as caught:
        await connect(host, access)
    assert caught.value.probe_address is None, "that the jump answers is no sign of the host's return"
    gate.stop()
    with pytest.raises(Unreachable, match=f"^{jump}, jump host to {target}: connection refused") as caught:
        await connect(host, access)
    assert caught.value.probe_address == ("127.0.0.1", gate.port)


@pytest.mark.parametrize(
    ("ciphers", "expected"),
    [("", "aes128-gcm@openssh.com"), ("Ciphers aes256-ctr\n", "aes256-ctr")],
    ids=["the fastest", "as configured"],
)
async def test_the_cipher(sshd: Sshd, operator: Path, tmp_path: Path, ciphers: str, expected: str) -> None:
    async with connection(sshd.host(tmp_path), sshd.access(operator, config=ciphers)) as connected:
        assert connected.channels._connection.get_extra_info("send_cipher") == expected
        assert connected.channels._connection.get_extra_info("recv_cipher") == expected
