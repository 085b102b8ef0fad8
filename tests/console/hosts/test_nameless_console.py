"""The console of a user of whom the system knows nothing but a number: it opens, and logs in to hosts by the name it is given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.console.hosts.sshd import Sshd
from tests.console.nameless_user import UID, nameless
from tests.console.terminal import Terminal
from tests.console.tiny import PROFILE, write_experiment


def command_line(folder: Path, *options: str) -> list[str]:
    """Words that start the console in ``folder``, which is a home folder too."""
    shared = ["--experiment", str(write_experiment(folder)), "--runs", str(folder / "runs"), "--profile", PROFILE]
    terminal = ["TERM=xterm-256color", "COLORTERM=truecolor", f"HOME={folder}", "LC_ALL=C.UTF-8"]
    return nameless(*terminal, sys.executable, "-m", "console.cli", *options, *shared)


def test_it_logs_in_by_the_name_that_hosts_toml_gives(sshd: Sshd, tmp_path: Path) -> None:
    home = tmp_path / "josé's home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/known_hosts").write_text(sshd.known_hosts_line())
    hosts = home / "hosts.toml"
    entry = f'[hosts.box]\ntitle = "box"\nlauncher = "ssh"\naddress = "127.0.0.1"\nport = {sshd.port}\n'
    entry += f'identity = "{sshd.identity}"\nworkspace = "{tmp_path}/a workspace"\n'

    def status() -> subprocess.CompletedProcess[str]:
        command = command_line(home, "status", "--json", "--host", "box", "--hosts", str(hosts))
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)

    hosts.write_text(entry)
    done = status()
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "no entry in passwd, so no name to log in with: set `user` in hosts.toml" in done.stderr
    hosts.write_text(f'{entry}user = "{sshd.user}"\n')
    done = status()
    assert done.returncode == 0, done.stderr
    assert {run["state"] for run in json.loads(done.stdout)["runs"]} == {"none"}


def test_it_opens_on_the_embedded_host(tmp_path: Path) -> None:
    with Terminal(command_line(tmp_path), os.environ) as terminal:
        terminal.wait_for("4 to launch", 100)
        terminal.press("1", f"uid{UID} at 127.0.0.1", 100)
