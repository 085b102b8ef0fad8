"""A host's user may have any login shell, and that shell may say anything before it runs what it is told."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from console.hosts.connection import LinkDown
from console.hosts.remote_python import MarkedPython
from tests.console.hosts.conftest import Host, in_state, launch, states_when
from tests.console.hosts.connecting import connect, reached
from tests.console.hosts.sshd import Sshd, open_folder, require_root, started

NOISE = 'echo "Welcome! {\\"id\\": 0, \\"ok\\": {}}"; echo have; printf "no newline at the end"; echo told you >&2\n'
PROFILES = {
    "bash": ".bashrc",
    "dash": None,
    "zsh": ".zshenv",
    "fish": ".config/fish/config.fish",
    "tcsh": ".tcshrc",
}


@pytest.fixture
def noisy_user(user: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The ordinary user with the shell that the test names, which talks at login where it reads anything then."""
    require_root()
    shell, profile = request.param, PROFILES[request.param]
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    home = Path(f"~{user}").expanduser()
    subprocess.run(["usermod", "-s", path, user], check=True)  # noqa: S607
    before = (home / profile).read_text() if profile and (home / profile).exists() else None
    if profile:
        (home / profile).parent.mkdir(parents=True, exist_ok=True)
        (home / profile).write_text(NOISE)
    yield user
    if profile:
        (home / profile).unlink()
        if before is not None:
            (home / profile).write_text(before)
    subprocess.run(["usermod", "-s", "/bin/bash", user], check=True)  # noqa: S607


@pytest.mark.parametrize("noisy_user", PROFILES, indirect=True)
async def test_a_run_goes_through_any_shell_whatever_it_says(noisy_user: str, operator: Path) -> None:
    with open_folder() as folder, open_folder(noisy_user) as home, started(Sshd(folder, noisy_user)) as sshd:
        workspace = home / 'it\'s a "workspace" with $HOME, \\ and ; touch x'
        host = Host(workspace, sshd.host(workspace), sshd.access(operator))
        for _ in range(2):  # the agent is shipped, and found again
            async with host.reach() as (reached, link):
                assert reached.workspace == str(workspace)
                await launch(link, "A_seed1", "print('hello')")
                await states_when(link, in_state("A_seed1", "finished"))
        assert (host.run_folder / "A_seed1" / "log.txt").read_text() == "hello\n"


@pytest.mark.parametrize("noisy_user", ["bash"], indirect=True)
async def test_sftp_behind_a_shell_that_talks_says_what_is_wrong(noisy_user: str, operator: Path) -> None:
    server = "/usr/lib/openssh/sftp-server"
    if not Path(server).exists():
        pytest.skip("OpenSSH's sftp-server is not installed")
    with (
        open_folder() as folder,
        open_folder(noisy_user) as home,
        started(Sshd(folder, noisy_user, sftp=server)) as sshd,
    ):
        async with reached(sshd.host(home / "host"), sshd.access(operator)) as there:
            with pytest.raises(asyncssh.SFTPError, match="does its shell print text at login"):
                await there.connection.start_sftp_client().__aenter__()


async def test_an_account_that_lets_nobody_in_says_why(user: str, operator: Path) -> None:
    require_root()
    subprocess.run(["usermod", "-s", "/usr/sbin/nologin", user], check=True)  # noqa: S607
    try:
        with (
            open_folder() as folder,
            started(Sshd(folder, user)) as sshd,
            pytest.raises(LinkDown, match="This account is currently not available"),
        ):
            await connect(sshd.host("~/host"), sshd.access(operator))
    finally:
        subprocess.run(["usermod", "-s", "/bin/bash", user], check=True)  # noqa: S607


async def test_endless_noise_is_not_read_for_ever(host: Host) -> None:
    async with host.reach() as (reached, _):
        program = MarkedPython(reached.python, "while True: print('x' * 1000)")
        process = await reached.connection.create_process(program.command)
        with pytest.raises(LinkDown, match="printed more than 1 MiB"):
            await program.marked_line(process)
        process.close()


def test_arguments_of_any_kind_cannot_be_read_by_a_shell() -> None:
    command = MarkedPython("~/env/bin/python3", "pass", "'; rm -rf /", "$(id)", "`id`", "a\nb", "!!").command
    before, quoted, after = command.split("'")
    assert not set(before + after) & set('`$!\n\\"*?[]{}<>|&;#()')
    assert not set(quoted) & set("\n\\!")
