"""Programs run on a host through any login shell, whatever that shell prints before."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

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
AWKWARD = 'it\'s a "workspace" with $5, %d, \\\\ and ; touch x!'  # fish makes one of two backslashes
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
        config = replace(sshd.host(workspace), python=str(python_in(home / f"josé's {AWKWARD}!")))
        host = Host(workspace, config, sshd.access(operator))
        for _ in range(2):  # the agent is shipped, and found again
            async with host.open_connection() as (connection, link):
                assert connection.workspace == str(workspace)
                await launch(link, "A_seed1", "print('hello')")
                await states_when(link, in_state("A_seed1", "finished"))
        assert (host.run_folder / "A_seed1" / "log.txt").read_text() == "hello\n"


def python_in(folder: Path) -> Path:
    """A Python in ``folder``, whose name may be anything."""
    folder.mkdir()
    python = folder / "python3"
    python.write_text('#!/bin/sh\nexec python3 "$@"\n')
    python.chmod(0o755)
    return python


@pytest.mark.parametrize("noisy_user", PROFILES, indirect=True)
async def test_home_and_variables_in_paths_are_the_hosts_through_any_shell(noisy_user: str, operator: Path) -> None:
    home = Path(f"~{noisy_user}").expanduser()
    program = python_in(home / "my $5 pythons")
    try:
        with open_folder() as folder, started(Sshd(folder, noisy_user)) as sshd:
            for python, workspace, found in (
                ("~/my $5 pythons/python3", "~/qllm runs", home / "qllm runs"),
                (f"~{noisy_user}/my $5 pythons/python3", "$HOME/ws", home / "ws"),
                ("${HOME}/my $5 pythons/python3", "${HOME}/./josé/", home / "josé"),
                ("python3", "runs/here", home / "runs/here"),
                ("python3", f"/data/$USER/{AWKWARD}", Path("/data") / noisy_user / AWKWARD),
            ):
                host = replace(sshd.host(workspace), python=python)
                async with connection(host, sshd.access(operator)) as connected:
                    assert connected.workspace == str(found)
                    reply = MarkedPython(connected.python, "print(); print(sys.argv[2], 'runs')")
                    assert await reply.run(connected.channels, 30) == "runs"
            for python, workspace, message in (
                ("$NO_SUCH/python3", "~/ws", "NO_SUCH is not set on the host"),
                ("python3", "$NO_SUCH/ws", "the host does not know $NO_SUCH"),
                ("python3", "~nobody-here/ws", "the host does not know ~nobody-here"),
            ):
                with pytest.raises(LinkDown, match=re.escape(message)):
                    await connect(replace(sshd.host(workspace), python=python), sshd.access(operator))
    finally:
        shutil.rmtree(program.parent)


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
    command = MarkedPython("/home/x/env/bin/python3", "pass", "'; rm -rf /", "$(id)", "`id`", "a\nb", "!!").command
    assert_safe(command)
    before, quoted, _ = command.split("'")
    assert before.startswith("/home/x/env/bin/python3 ") and not set(quoted) & set("\\")


@pytest.mark.parametrize("expand", [False, True])
@given(python=st.text(st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), min_size=1))
def test_no_character_of_a_python_s_path_can_be_read_by_a_shell(python: str, expand: bool) -> None:
    assert_safe(MarkedPython(python, "pass", "x", expand=expand).command)


def assert_safe(command: str) -> None:
    """Outside of single quotes a command has no character that a shell reads, within them none that some shell reads."""
    parts = command.split("'")
    assert len(parts) % 2 and not set("".join(parts[::2])) & set('`$!\n\\"*?[]{}<>|&;#()')
    assert not set(re.sub(r"\\[0-3][0-7]{2}", "", "".join(parts[1::2]))) & set("\n\\!")
