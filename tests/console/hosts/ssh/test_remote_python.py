"""Programs run on a host through any login shell, whatever that shell prints before."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.hosts.preflight.examine import environment_name, examine_host
from console.hosts.ssh.errors import LinkDown
from console.hosts.ssh.remote_python import MarkedPython
from console.hosts.transfer.folder_sync import pull, push
from console.hosts.transfer.request import SyncRequest
from tests.console.hosts.conftest import Host, in_state, launch, states_when
from tests.console.hosts.folder_pair import tree, write
from tests.console.hosts.sshd import Sshd, connect, connection, open_folder, require_root, started

pytestmark = pytest.mark.server

NOISE = 'echo "Welcome! {\\"id\\": 0, \\"ok\\": {}}"; echo have; printf "no newline at the end"; echo told you >&2\n'
AWKWARD = 'it\'s a "workspace" with $HOME, \\\\ and ; touch x!'  # fish makes one of two backslashes
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
async def test_a_run_is_launched_through_any_shell(noisy_user: str, operator: Path) -> None:
    with open_folder() as folder, open_folder(noisy_user) as home, started(Sshd(folder, noisy_user)) as sshd:
        workspace = home / AWKWARD
        host = Host(workspace, sshd.host(workspace), sshd.access(operator))
        for _ in range(2):  # the agent is shipped, and found again
            async with host.open_connection() as (connection, link):
                assert connection.workspace == str(workspace)
                await launch(link, "A_seed1", "print('hello')")
                await states_when(link, in_state("A_seed1", "finished"))
        assert (host.run_folder / "A_seed1" / "log.txt").read_text() == "hello\n"


ENGINE_ERROR = 'qllm-engine: error: WordNet is not here; it\'s in "$WNHOME" or nowhere'


@pytest.mark.parametrize("noisy_user", PROFILES, indirect=True)
async def test_preflight_reads_the_engines_error_through_any_shell(noisy_user: str, operator: Path) -> None:
    with open_folder() as folder, open_folder(noisy_user) as home, started(Sshd(folder, noisy_user)) as sshd:
        workspace = home / AWKWARD
        host = Host(workspace, sshd.host(workspace), sshd.access(operator))
        async with host.open_connection() as (connection, link):
            environment = workspace / "env" / environment_name()
            (environment / "bin").mkdir(parents=True)
            environment.with_suffix(".json").write_text('{"state": "ready"}')
            engine = environment / "bin" / "python"
            for error, code in ((ENGINE_ERROR, 2), ("", 0)):
                engine.write_text(f"#!/bin/sh\necho noise\nprintf '%s\\n' {shlex.quote(error)} >&2\nexit {code}\n")
                engine.chmod(0o755)
                found = await examine_host(host.config, connection, link)
                assert found.environment.state == "ready"
                assert found.environment.check_error == error.removeprefix("qllm-engine: error: ")


@pytest.mark.parametrize("noisy_user", PROFILES, indirect=True)
async def test_files_are_pushed_and_pulled_through_any_shell(noisy_user: str, operator: Path, tmp_path: Path) -> None:
    files = {"a.txt": b"one", "sub/b.bin": bytes(range(256)) * 100}
    source = write(tmp_path / "source", files)
    with open_folder() as folder, open_folder(noisy_user) as home, started(Sshd(folder, noisy_user)) as sshd:
        workspace = home / AWKWARD
        async with connection(sshd.host(workspace), sshd.access(operator)) as connected:
            sent = await push(connected, SyncRequest(source, "project", tmp_path / "records"))
            pulled = await pull(connected, SyncRequest(tmp_path / "back", "project", tmp_path / "more records"))
        assert sent.full and pulled.full
        assert tree(workspace / "project") == tree(tmp_path / "back") == files


async def test_a_disabled_account_gives_its_reason(user: str, operator: Path) -> None:
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


async def test_endless_shell_output_is_an_error(host: Host) -> None:
    async with host.open_connection() as (connection, _):
        program = MarkedPython(connection.python, "while True: print('x' * 1000)")
        process = await connection.channels.create_process(program.command)
        with pytest.raises(LinkDown, match="printed more than 1 MiB"):
            await program.marked_line(process)
        process.close()


def test_arguments_of_any_kind_cannot_be_read_by_a_shell() -> None:
    command = MarkedPython("~/env/bin/python3", "pass", "'; rm -rf /", "$(id)", "`id`", "a\nb", "!!").command
    before, quoted, after = command.split("'")
    assert not set(before + after) & set('`$!\n\\"*?[]{}<>|&;#()')
    assert not set(quoted) & set("\n\\!")
