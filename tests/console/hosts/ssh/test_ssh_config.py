"""The ssh configuration means here what it means to ssh: a real ssh and the console log in to one server by one file."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest
from asyncssh.mac import get_mac_algs
from msgspec.structs import asdict, replace

from console.hosts.ssh import ssh_config
from console.hosts.ssh.access import Access
from console.hosts.ssh.errors import HostKeyRefused, LinkDown, Misconfigured
from console.hosts.ssh.route import CIPHERS, Hop, resolve_route
from console.hosts.ssh.ssh_config import SshFiles, default_ssh_files
from tests.console.hosts.ssh.configurations import ROWS
from tests.console.hosts.ssh.desk import RAMP, Desk
from tests.console.hosts.sshd import ScriptedPrompter, connect

pytestmark = pytest.mark.server


@pytest.mark.fault(
    "ssh configurations and known_hosts as users have them, among them a key that the system's file revokes",
    "a real ssh and the console log in, or refuse, alike",
)
@pytest.mark.parametrize("name", ROWS)
async def test_the_console_and_ssh_agree_on_a_configuration(desk: Desk, name: str) -> None:
    text, logs_in = ROWS[name](desk)
    files, config = desk.write(text)
    command = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "ramp", "true"]
    run = asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=60)
    ssh, ours = await asyncio.gather(run, connects(files))
    assert (ssh.returncode == 0, ours) == (logs_in, logs_in), ssh.stderr


async def connects(files: SshFiles) -> bool:
    try:
        return bool(await connect(RAMP, Access(files)))
    except LinkDown:
        return False


def plain(desk: Desk) -> str:
    """A configuration that asyncssh's parser reads as ssh does."""
    desk.put("known", desk.line("cluster"))
    return (
        f"{desk.identity}HostKeyAlias cluster\nUserKnownHostsFile {desk.folder}/known\nGlobalKnownHostsFile none\n"
        "Ciphers aes256-ctr\nCompression yes\nAddressFamily inet\nConnectTimeout 20\nIdentityAgent ~/agent\n"
        "SetEnv NAME=value\nPreferredAuthentications publickey\n"
    )


async def test_without_ssh_a_plain_configuration_is_read_alike(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", pwd.getpwuid(os.getuid()).pw_dir)  # ssh's own "~" is that of passwd
    files, _ = desk.write(plain(desk))
    (by_ssh,) = (await resolve_route(RAMP, files)).hops
    monkeypatch.setattr(shutil, "which", lambda _: None)
    (by_parser,) = (await resolve_route(RAMP, files)).hops
    assert comparable(by_parser) == comparable(by_ssh)
    assert await connect(RAMP, Access(files))


def comparable(hop: Hop) -> dict[str, object]:
    options = {name: value for name, value in hop.options.items() if name not in ("tcp_keepalive", "encryption_algs")}
    return {**asdict(hop), "options": options}


@pytest.mark.parametrize(
    "name",
    [
        "a key that the system's file revokes, with a user's file of another name",
        "a key that only the user's default file has, with a user's file of another name",
        "an alias, known with the port alone",
        "a network is no pattern",
        "no agent",
        "a public key whose private key the agent has",
        "a certificate of another name",
        "a ProxyCommand that only a shell can run",
        "a configuration that cannot be read",
    ],
)
async def test_without_ssh_what_matters_most_is_the_same(
    desk: Desk, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, logs_in = ROWS[name](desk)
    files, _ = desk.write(text)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert await connects(files) == logs_in


async def test_an_unknown_key_is_no_question_where_checking_is_strict(desk: Desk) -> None:
    desk.known.write_text("")
    files, _ = desk.write(f"StrictHostKeyChecking yes\n{desk.identity}")
    prompter = ScriptedPrompter("yes")
    with pytest.raises(HostKeyRefused, match="StrictHostKeyChecking is yes"):
        await connect(RAMP, Access(files, prompter))
    assert not prompter.questions and not files.own_known_hosts.exists()


async def test_an_alias_is_saved_as_ssh_would_find_it(desk: Desk) -> None:
    desk.known.write_text("")
    files, config = desk.write(f"HostKeyAlias Cluster\n{desk.identity}")
    await connect(RAMP, Access(files, ScriptedPrompter("yes")))
    assert files.own_known_hosts.read_text() == desk.line("cluster")
    options = ["-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={files.own_known_hosts}"]
    await asyncio.to_thread(subprocess.run, ["ssh", "-F", str(config), *options, "ramp", "true"], check=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Port many\n", r"for ramp: .*config line 1: Bad port .many."),
        ("ProxyJump a:b:c\n", r"config line 1: Invalid ProxyJump"),
        ("Nonsense yes\n", r"config: line 1: Bad configuration option: nonsense"),
        ("IdentityFile ${QLLM_TEST_NOT_SET}/id\n", r"identityfile of the ssh configuration: .*NOT_SET. is not set"),
        ("Ciphers chacha20-poly1305@openssh.com\nMACs umac-64@openssh.com\nProxyUseFdpass yes\n", "ProxyUseFdpass"),
        ("HostName a;b\n", "address 'a;b' has characters that none has"),
        ("ProxyCommand /none/such %h\n", r"by ProxyCommand: .*/none/such"),
    ],
)
async def test_what_is_wrong_in_the_configuration_is_one_line(desk: Desk, text: str, message: str) -> None:
    files, _ = desk.write(text + desk.identity)
    with pytest.raises(Misconfigured, match=message) as caught:
        await connect(RAMP, Access(files))
    assert "\n" not in str(caught.value)


async def test_the_connection_has_the_options_of_the_configuration(desk: Desk) -> None:
    text = (
        "RekeyLimit 1G 1h\nSetEnv A=1 B=2\nSendEnv LANG LC_*\nCompression yes\nTCPKeepAlive no\nBindAddress 127.0.0.1\n"
    )
    algorithms = (
        "MACs hmac-sha2-256,umac-64@openssh.com\nHostKeyAlgorithms ssh-ed25519\nKbdInteractiveAuthentication no\n"
    )
    files, _ = desk.write(text + algorithms + desk.identity)
    (hop,) = (await resolve_route(RAMP, files)).hops
    assert hop.options == {
        "encryption_algs": CIPHERS,
        "mac_algs": [name for name in ("hmac-sha2-256", "umac-64@openssh.com") if name.encode() in get_mac_algs()],
        "server_host_key_algs": ["ssh-ed25519"],
        "kbdint_auth": False,
        "tcp_keepalive": False,
        "compression_algs": "zlib@openssh.com,zlib,none",
        "rekey_bytes": 1 << 30,
        "rekey_seconds": 3600,
        "env": {"A": "1", "B": "2"},
        "send_env": ["LANG", "LC_*"],
    }
    assert await connect(RAMP, Access(files))


def fake_ssh(folder: Path, answer: str) -> None:
    """A program called ssh, which answers ``-G`` without a file as OpenSSH does, and else by ``answer``."""
    real = shutil.which("ssh")
    folder.mkdir()
    (folder / "ssh").write_text(f'#!/bin/sh\ncase "$*" in *localhost) exec {real} "$@";; esac\n{answer}\n')
    (folder / "ssh").chmod(0o755)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("exec sleep 1000", "did not end within"),
        ("printf '\\033[2Jno\\nway\\n' >&2; exit 255", "for ramp: way$"),
        ("exit 3", "ended with 3"),
        ("echo hello", "printed no host name"),
        ("yes hostname x", "printed more than 1 MiB"),
    ],
)
async def test_what_ssh_answers_is_not_believed_blindly(
    desk: Desk, answer: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_ssh(desk.folder / "bin", answer)
    monkeypatch.setenv("PATH", f"{desk.folder}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(ssh_config, "RESOLVE_TIMEOUT_S", 20.0 if "sleep" not in answer else 0.5)
    files, _ = desk.write(desk.identity)
    with pytest.raises(Misconfigured, match=message):
        await resolve_route(RAMP, files)


async def test_a_program_called_ssh_that_is_not_openssh_is_not_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = desk.folder / "bin"
    folder.mkdir()
    (folder / "ssh").write_text("#!/bin/sh\necho 'unknown option -G' >&2\nexit 1\n")
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    files, _ = desk.write(desk.identity)
    assert await connect(RAMP, Access(files))


def test_where_home_is_another_folder_its_file_is_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not default_ssh_files().has_system_config
    monkeypatch.delenv("HOME")
    assert default_ssh_files().has_system_config


async def test_the_hosts_file_has_a_jump_none(desk: Desk) -> None:
    files, _ = desk.write(f"{desk.identity}ProxyJump nowhere.invalid\n")
    assert await connect(replace(RAMP, jump="none"), Access(files))
