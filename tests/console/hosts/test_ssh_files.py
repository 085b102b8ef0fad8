"""The commands as an operator runs them: with the SSH files of a home folder, and questions asked on the terminal alone."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console import exit_codes
from tests.console.commands.json_checker import checked
from tests.console.hosts.sshd import Sshd
from tests.console.tiny import arguments, write_experiment

HOSTS = """
[hosts.ramp]
title = "RAMP"
launcher = "ssh"
address = "ramp"
workspace = "{workspace}"
"""
CONFIG = """
Host ramp
  Hostname 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {identity}
"""


@pytest.fixture
def status(sshd: Sshd, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts ``qllm-console status --json --host ramp`` with a home folder of its own."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    config = CONFIG.format(port=sshd.port, user=sshd.user, identity=sshd.identity)
    (home / ".ssh" / "config").write_text(config)
    hosts = tmp_path / "hosts.toml"
    hosts.write_text(HOSTS.format(workspace=tmp_path / "host"))
    command = arguments("status", write_experiment(tmp_path), tmp_path / "runs", "--json", "--host", "ramp")
    environ = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    environ |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}

    def start(**more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, "--hosts", str(hosts)],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **more,
        )

    return start


def own_known_hosts(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".config" / "qllm-console" / "known_hosts"


def test_the_default_ssh_files_suffice(
    status: Callable[..., subprocess.Popen[str]], sshd: Sshd, tmp_path: Path
) -> None:
    (tmp_path / "home" / ".ssh" / "known_hosts").write_text(sshd.known_hosts_line())
    with status() as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == exit_codes.DONE, err
    assert len(checked(out)["runs"]) == 4
    assert not own_known_hosts(tmp_path).exists()


def test_without_a_terminal_an_unknown_host_ends_the_command_with_one_line(
    status: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    with status() as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == exit_codes.UNREACHABLE and out == ""
    last = err.strip().splitlines()[-1]
    assert "is unknown" in last and "no terminal to ask on" in last
    assert not own_known_hosts(tmp_path).exists()


def test_a_host_key_is_confirmed_on_the_terminal_and_stdout_stays_clean(
    status: Callable[..., subprocess.Popen[str]], sshd: Sshd, tmp_path: Path
) -> None:
    operator, device = pty.openpty()
    with status(preexec_fn=lambda: fcntl.ioctl(device, termios.TIOCSCTTY, 0), pass_fds=[device]) as process:
        shown = b""
        while b"Type yes to trust it:" not in shown:
            shown += os.read(operator, 4096)
        os.write(operator, b"yes\n")
        out, err = process.communicate(timeout=60)
    os.close(operator)
    os.close(device)
    assert process.returncode == exit_codes.DONE, err
    assert sshd.host_keys[0].get_fingerprint().encode() in shown
    assert checked(out)["host"] == "ramp" and "Type yes" not in out + err
    assert own_known_hosts(tmp_path).read_text() == sshd.known_hosts_line()
