"""A real OpenSSH server on the loopback, with keys, configuration and authorized keys of its own in a folder of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import psutil
import pytest

from console.hosts.host_config import HostConfig
from console.hosts.ssh.access import Access, Timeouts
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.connection import open_connection
from console.hosts.ssh.prompts import OperatorUnavailable, Prompter, Question
from console.hosts.ssh.route import Route, entry_name
from console.hosts.ssh.ssh_config import SshFiles

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of a user who lives as long as the tests
START_S = 10.0
ME = getpass.getuser()


class Sshd:
    """One server. It is started by ``start``, also again on the same port; ``stop`` takes its sessions with it.

    Args:
        folder: readable by ``user``.
        user: who logs in.
        settings: lines of sshd_config that go before all others.
        key_types: of its host keys.
    """

    def __init__(
        self,
        folder: Path,
        user: str,
        settings: tuple[str, ...] = (),
        key_types: tuple[str, ...] = ("ssh-ed25519",),
    ) -> None:
        self.folder = folder
        self.user = user
        self.port = free_port()
        self.host_keys = [asyncssh.generate_private_key(kind) for kind in key_types]
        self.client_key = asyncssh.generate_private_key("ssh-ed25519")
        self.identity = folder / "id_client"
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = settings
        for number, key in enumerate(self.host_keys):
            write_key(folder / f"host_{number}", key)
        write_key(self.identity, self.client_key)
        self.authorize(self.client_key)

    def authorize(self, key: asyncssh.SSHKey) -> None:
        """Accept logins with ``key``."""
        with open(self.folder / "authorized_keys", "ab") as file:
            file.write(key.export_public_key())

    def start(self) -> None:
        config = self.folder / "sshd_config"
        lines = [
            *self._settings,
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            *(f"HostKey {self.folder}/host_{number}" for number in range(len(self.host_keys))),
            "PidFile none",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "MaxStartups 100",
            "LogLevel VERBOSE",
        ]
        config.write_text("\n".join(lines) + "\n")
        with open(self.folder / "sshd.log", "ab") as log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(config)], stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + START_S
        while not self._greets():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd did not start: {(self.folder / 'sshd.log').read_text()[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill it with every session; detached processes that these started continue."""
        if self._process is None:
            return
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._process = None

    def restart(self, settings: tuple[str, ...]) -> None:
        """Start it again with more lines of sshd_config."""
        self.stop()
        self._settings += settings
        self.start()

    def processes(self) -> list[psutil.Process]:
        """The server and its sessions."""
        assert self._process is not None
        found = [server := psutil.Process(self._process.pid)]
        for child in server.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [child] if child.name().startswith("sshd") else []
        return found

    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def known_hosts_line(self, number: int = 0, port: int | None = None) -> str:
        public = self.host_keys[number].export_public_key().decode().strip()
        return f"{entry_name('127.0.0.1', port or self.port)} {public}\n"

    def files(self, folder: Path, *, known: bool = True, port: int | None = None, config: str = "") -> SshFiles:
        """SSH files of an operator in ``folder``; its known_hosts has the server, at ``port``, if ``known``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "known_hosts").write_text(self.known_hosts_line(port=port) if known else "")
        (folder / "config").write_text(config)
        return SshFiles(
            own_known_hosts=folder / "own" / "known_hosts",
            config=folder / "config",
            known_hosts=(folder / "known_hosts",),
        )

    def access(
        self, folder: Path, prompter: Prompter | None = None, timeouts: Timeouts | None = None, **files: object
    ) -> Access:
        return Access(self.files(folder, **files), prompter, timeouts or Timeouts())  # type: ignore[arg-type]

    def host(self, workspace: Path | str, port: int | None = None) -> HostConfig:
        return HostConfig(
            "sshd",
            "ssh",
            workspace=str(workspace),
            address="127.0.0.1",
            port=port or self.port,
            user=self.user,
            identity=str(self.identity),
        )

    def _greets(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as probe:
            return probe.recv(4) == b"SSH-"
        return False


class ScriptedPrompter:
    """Prompter that gives ``answers`` in order (None declines); a question beyond them fails the test's connection."""

    def __init__(self, *answers: str | None) -> None:
        self.questions: list[Question] = []
        self._answers = list(answers)

    async def ask(self, question: Question) -> str | None:
        self.questions.append(question)
        if not self._answers:
            raise OperatorUnavailable("the test has no answer to that")
        return self._answers.pop(0)


@asynccontextmanager
async def connection(
    host: HostConfig, access: Access, reported: list[Route] | None = None
) -> AsyncIterator[HostConnection]:
    async with open_connection(
        host, Path("/nowhere"), access, (reported if reported is not None else []).append
    ) as connected:
        yield connected


async def connect(host: HostConfig, access: Access, reported: list[Route] | None = None) -> str:
    """Connect once; returns the fingerprint of the host's key."""
    async with connection(host, access, reported) as connected:
        return connected.fingerprint


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def write_key(path: Path, key: asyncssh.SSHKey, passphrase: str | None = None) -> None:
    """A private key and its public half, as ssh-keygen leaves them."""
    path.touch(mode=0o600)
    key.write_private_key(path, passphrase=passphrase, rounds=64)
    key.write_public_key(path.with_name(f"{path.name}.pub"))


@contextlib.contextmanager
def open_folder(owner: str | None = None) -> Iterator[Path]:
    """A folder that every user can enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="qllm-test-"))
    try:
        folder.chmod(0o755)
        if owner is not None and os.geteuid() == 0:
            shutil.chown(folder, owner)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def started(sshd: Sshd) -> Iterator[Sshd]:
    require_sshd()
    sshd.start()
    try:
        yield sshd
    finally:
        sshd.stop()


def require_sshd() -> None:
    """Skip, with the reason, where OpenSSH's server cannot be started."""
    if not Path(SSHD).exists():
        pytest.skip("OpenSSH's sshd is not installed (Debian: apt-get install openssh-server)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it


def require_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: a server for another user than this one")


@contextlib.contextmanager
def ordinary_user() -> Iterator[str]:
    """A user without privileges: created for the tests if they run as root, else the user who runs them."""
    if os.geteuid() != 0:
        yield ME
        return
    if not shutil.which("useradd"):
        pytest.skip("useradd is not installed")
    name = f"qllmtest{os.getpid()}"
    subprocess.run(["useradd", "-m", "-s", "/bin/bash", name], check=True, capture_output=True)  # noqa: S607
    try:
        subprocess.run(["chpasswd"], input=f"{name}:{PASSWORD}\n".encode(), check=True, capture_output=True)  # noqa: S607
        yield name
    finally:
        uid = pwd.getpwnam(name).pw_uid
        for process in psutil.process_iter(["uids"]):
            if process.info["uids"] and process.info["uids"].real == uid:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        subprocess.run(["userdel", "-r", name], check=False, capture_output=True)  # noqa: S607


@contextlib.contextmanager
def agent(identity: Path) -> Iterator[str]:
    """A real ssh-agent that holds ``identity``."""
    require_sshd()
    path = str(identity.with_name("agent.sock"))
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:  # noqa: S607
        try:
            # its socket is there before it listens: ssh-add, which ends with 2 where nobody answers, says when it does
            command = ["ssh-add", str(identity)]
            environ = {**os.environ, "SSH_AUTH_SOCK": path}
            while (added := subprocess.run(command, env=environ, check=False, capture_output=True)).returncode == 2:
                assert process.poll() is None
            added.check_returncode()
            yield path
        finally:
            process.kill()
