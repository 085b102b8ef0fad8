"""What no attempt can mend ends at once: a command with one line and exit code 2, the console until it is told to go on."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from console import exit_codes
from console.session import Session
from engine.contract.experiment_reader import read_experiment
from tests.console.hosts.kept_link import kept_link
from tests.console.hosts.sshd import Sshd
from tests.console.tiny import PROFILE, arguments, write_experiment

HOSTS = """[hosts.ramp]
title = "RAMP"
launcher = "ssh"
workspace = "{workspace}"
"""
REACHED = """address = "127.0.0.1"
port = {sshd.port}
user = "{sshd.user}"
identity = "{sshd.identity}"
"""


class Files:
    """What an operator has: hosts.toml, a home folder with an ssh configuration, and a runs folder."""

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        self.folder = folder
        self.sshd = sshd
        self.home, self.runs, self.hosts = folder / "home", folder / "runs", folder / "hosts.toml"
        (self.home / ".ssh").mkdir(parents=True)
        self.runs.mkdir()
        (self.home / ".ssh" / "known_hosts").write_text(sshd.known_hosts_line())
        self.host(REACHED)

    def host(self, fields: str, workspace: str = "host") -> None:
        """Write hosts.toml; a relative ``workspace`` is in the test's own folder."""
        path = workspace if workspace.startswith("$") else self.folder / workspace
        text = HOSTS.format(workspace=path) + fields.format(sshd=self.sshd)
        self.hosts.write_text(text)


def ssh_config(files: Files) -> str:
    (files.home / ".ssh" / "config").write_text("# mine\nHost *\n  Port many\n")
    return r"the ssh configuration for 127.0.0.1: .*config line 3: "


def jump(files: Files) -> str:
    files.host(f'{REACHED}jump = "gate:many"\n')
    return r"hosts.toml:9: hosts.ramp.jump: 'gate:many' is not \[user@\]host\[:port\]"


def address(files: Files) -> str:
    files.host(REACHED.replace("127.0.0.1", "me@127.0.0.1"))
    return r"hosts.toml:5: hosts.ramp.address: 'me@127.0.0.1' is no name or address of a host"


def identity(files: Files) -> str:
    files.host(REACHED.replace("{sshd.identity}", "/none/id"))
    return r"hosts.toml:8: hosts.ramp.identity: there is no file /none/id"


def python(files: Files) -> str:
    files.host(f'{REACHED}python = "/none/python3"\n')
    return r"python '/none/python3' cannot be run on the host: .*/none/python3"


def no_python(files: Files) -> str:
    files.host(f'{REACHED}python = "/bin/cat"\n')
    return r"/bin/cat on the host is no Python: name Python 3.8 or newer"


def silent_python(files: Files) -> str:
    files.host(f'{REACHED}python = "/bin/true"\n')
    return r"/bin/true on the host is no Python: name Python 3.8 or newer"


def proxy_command(files: Files) -> str:
    (files.home / ".ssh" / "config").write_text("ProxyCommand no-such-program-anywhere %h\n")
    return r"by ProxyCommand: .*no-such-program-anywhere"


def revoked_keys(files: Files) -> str:
    (files.home / "revoked").write_text(f"# laptops\n\n{files.sshd.known_hosts_line()}")
    (files.home / ".ssh" / "config").write_text(f"RevokedHostKeys {files.home}/revoked\n")
    return r"RevokedHostKeys of the ssh configuration: .*/home/revoked line 3: not a public key"


def missing_revoked_keys(files: Files) -> str:
    (files.home / ".ssh" / "config").write_text("RevokedHostKeys /none/revoked\n")
    return r"RevokedHostKeys of the ssh configuration: /none/revoked: No such file or directory"


def host_key_algorithms(files: Files) -> str:
    (files.home / ".ssh" / "config").write_text("HostKeyAlgorithms rsa-sha2-256,rsa-sha2-512\n")
    return r"no algorithm in common for HostKeyAlgorithms: the host has ssh-ed25519, this console rsa-sha2-256,rsa-sha2-512$"


def key_exchange(files: Files) -> str:
    files.sshd.restart(("KexAlgorithms ecdh-sha2-nistp256",))
    (files.home / ".ssh" / "config").write_text("KexAlgorithms curve25519-sha256\n")
    return r"no algorithm in common for KexAlgorithms: the host has ecdh-sha2-nistp256, this console curve25519-sha256$"


def ciphers(files: Files) -> str:
    files.sshd.restart(("Ciphers aes256-gcm@openssh.com",))
    (files.home / ".ssh" / "config").write_text("Ciphers aes128-ctr\n")
    return r"no algorithm in common for Ciphers: the host has aes256-gcm@openssh.com, this console aes128-ctr$"


def message_codes(files: Files) -> str:
    files.sshd.restart(("Ciphers aes128-ctr", "MACs hmac-sha2-256"))
    (files.home / ".ssh" / "config").write_text("Ciphers aes128-ctr\nMACs hmac-sha2-512\n")
    return r"no algorithm in common for MACs: the host has hmac-sha2-256, this console hmac-sha2-512$"


def ciphers_by_proxy(files: Files) -> str:
    files.sshd.restart(("Ciphers aes256-gcm@openssh.com",))
    relay = "bash -c 'exec 3<>/dev/tcp/%h/%p; { cat <&3 & } && cat >&3; kill $!'"
    (files.home / ".ssh" / "config").write_text(f"ProxyCommand {relay}\nCiphers aes128-ctr\n")
    return r"no algorithm in common for Ciphers: the host has aes256-gcm@openssh.com, this console aes128-ctr$"


def below_a_file(files: Files) -> str:
    (files.folder / "host").write_text("")
    files.host(REACHED, "host/x")
    return r"workspace .*/host/x: .*/host on the host is no folder$"


def a_file(files: Files) -> str:
    (files.folder / "host").write_text("")
    return r"workspace .*/host: .*/host on the host is no folder$"


def below_a_device(files: Files) -> str:
    files.host(REACHED, "/dev/null/x")
    return r"workspace /dev/null/x: /dev/null on the host is no folder$"


def a_link_to_nothing(files: Files) -> str:
    (files.folder / "host").symlink_to(files.folder / "none")
    return r"workspace .*/host: .*/host on the host is a link to nothing that can be seen$"


def a_link_to_itself(files: Files) -> str:
    (files.folder / "host").symlink_to("host")
    files.host(REACHED, "host/x")
    return r"workspace .*/host/x: .*/host on the host is a link to nothing that can be seen$"


def long_path(files: Files) -> str:
    files.host(REACHED, f"{'/dd' * 1300}")
    return r"workspace /dd.* … \(3,900 characters\): it has 3,900 bytes, more than the 3,583 that leave room for what is in it$"


def long_path_of_variables(files: Files) -> str:
    files.host(REACHED, f"$HOME{'/dd' * 1300}")
    return r"workspace /.*: it has 3,9\d\d bytes, more than the 3,583 that leave room for what is in it$"


def long_name_of_variables(files: Files) -> str:
    files.host(REACHED, "host/" + "x" * 230 + "$SSH_CONNECTION")
    return r"workspace /.*: a name in it is longer than 255 bytes$"


def runs(files: Files) -> str:
    files.runs.chmod(0)
    return r"--runs: .*/runs"


@pytest.mark.fault(
    "a mistake that no attempt can mend: ssh configuration, ProxyCommand, jump, address, key file, Python, runs folder, "
    "algorithms that the host lacks, a workspace that cannot be a folder",
    "the command ends at once with one line and exit code 2",
)
@pytest.mark.parametrize(
    "mistake",
    [
        ssh_config,
        proxy_command,
        jump,
        address,
        identity,
        python,
        no_python,
        silent_python,
        revoked_keys,
        missing_revoked_keys,
        host_key_algorithms,
        key_exchange,
        ciphers,
        message_codes,
        ciphers_by_proxy,
        below_a_file,
        a_file,
        below_a_device,
        a_link_to_nothing,
        a_link_to_itself,
        long_path,
        long_path_of_variables,
        long_name_of_variables,
        runs,
    ],
)
def test_a_command_ends_at_once_with_one_line(sshd: Sshd, tmp_path: Path, mistake: Callable[[Files], str]) -> None:
    files = Files(tmp_path, sshd)
    message = mistake(files)
    done = run_console("status", files)
    (line,) = done.stderr.splitlines()
    assert re.search(message, line) and "trying again" not in line
    assert (done.returncode, done.stdout) == (exit_codes.BAD_INPUT, "")


@pytest.mark.parametrize("verb", ["preflight", "run", "watch"])
@pytest.mark.parametrize("mistake", [below_a_file, long_path])
def test_every_command_names_a_workspace_that_cannot_be(
    sshd: Sshd, tmp_path: Path, mistake: Callable[[Files], str], verb: str
) -> None:
    files = Files(tmp_path, sshd)
    message = mistake(files)
    done = run_console(verb, files)
    (line,) = done.stderr.splitlines()
    assert re.search(message, line)
    assert (done.returncode, done.stdout) == (exit_codes.BAD_INPUT, "")


def run_console(verb: str, files: Files) -> subprocess.CompletedProcess[str]:
    """A command for the host of ``files``, as the operator with this home folder and no agent runs it."""
    experiment = write_experiment(files.folder)
    command = arguments(verb, experiment, files.runs, "--host", "ramp", "--hosts", str(files.hosts))
    environ = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    environ |= {"HOME": str(files.home), "XDG_CONFIG_HOME": str(files.home / ".config")}
    try:
        return subprocess.run(
            [*without_privileges(), *command],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            start_new_session=True,
        )
    finally:
        files.runs.chmod(0o755)


def without_privileges() -> list[str]:
    """Before a command: root, too, reads only what it may."""
    if os.geteuid() != 0:
        return []
    if (setpriv := shutil.which("setpriv")) is None:
        pytest.skip("setpriv is not installed (Debian: apt-get install util-linux)")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search"]


async def test_the_console_stops_at_once_and_goes_on_when_told(sshd: Sshd, operator: Path, tmp_path: Path) -> None:
    access = sshd.access(operator, config="Port many\n")
    path = write_experiment(tmp_path)
    experiment = read_experiment(path)
    session = Session(sshd.host(tmp_path / "host"), experiment, path, PROFILE, tmp_path / "runs", access=access)
    following = asyncio.create_task(session.run())
    try:
        async with asyncio.timeout(60):
            await session.stopped.wait()
            assert "Bad port 'many'" in session.snapshot.host.detail
            assert "trying again" not in session.snapshot.host.detail and session.misconfigured is not None
            (operator / "config").write_text("")
            session.reconnect()
            await session.ready.wait()
        assert session.misconfigured is None
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_mistake_that_comes_while_a_link_works_is_waited_out(sshd: Sshd, tmp_path: Path) -> None:
    access = sshd.access(tmp_path / "operator")
    async with kept_link(sshd.host(tmp_path / "host"), tmp_path / "runs", access) as (link, _, changed):
        (tmp_path / "operator" / "config").write_text("Port many\n")
        sshd.stop()
        async with asyncio.timeout(60):
            while "Bad port" not in link.view.detail:
                changed.clear()
                await changed.wait()
            assert "trying again" in link.view.detail and not link.retry.stopped.is_set()
            (tmp_path / "operator" / "config").write_text("")
            sshd.start()
            link.retry.now()
            while link.view.link != "up":
                changed.clear()
                await changed.wait()
