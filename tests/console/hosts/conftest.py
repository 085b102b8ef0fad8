"""Real hosts to test with: the embedded one by default, and others for the tests that must pass on all of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import pytest

from console.hosts.host_config import HostConfig
from console.hosts.remote.agent_client import AgentClient, open_agent
from console.hosts.ssh.access import Access
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.connection import open_connection
from tests.console.hosts.folder_pair import Pair
from tests.console.hosts.slurm import LinkToSlurm, Slurm, running_slurm
from tests.console.hosts.small_disk import mounted
from tests.console.hosts.sshd import ME, Sshd, open_folder, ordinary_user, require_root, require_sshd, started

EMBEDDED = HostConfig("local", "embedded")
FOLDER = "experiment"


class Host:
    """A host to connect to, any number of times, and its workspace as the test sees it."""

    def __init__(self, workspace: Path, config: HostConfig = EMBEDDED, access: Access | None = None) -> None:
        self.workspace = workspace
        self.config = config
        self.access = access
        self.run_folder = workspace / "runs" / FOLDER

    @asynccontextmanager
    async def open_connection(self) -> AsyncIterator[tuple[HostConnection, AgentClient]]:
        async with (
            open_connection(self.config, self.workspace, self.access) as connection,
            open_agent(connection) as link,
        ):
            yield connection, link


@contextmanager
def embedded(request: pytest.FixtureRequest) -> Iterator[Host]:
    yield Host(request.getfixturevalue("tmp_path") / "josé's 50% host #1; [x]")


@contextmanager
def sshd_as_root(request: pytest.FixtureRequest) -> Iterator[Host]:
    require_root()
    with open_folder() as folder, started(Sshd(folder, "root")) as sshd:
        workspace = request.getfixturevalue("tmp_path") / "host"
        yield Host(workspace, sshd.host(workspace), sshd.access(folder / "operator"))


@contextmanager
def sshd_as_an_ordinary_user(request: pytest.FixtureRequest) -> Iterator[Host]:
    require_sshd()
    user = request.getfixturevalue("user")
    with open_folder() as folder, open_folder(user) as home, started(Sshd(folder, user)) as sshd:
        yield Host(home / "host", sshd.host(home / "host"), sshd.access(folder / "operator"))


class SlurmHost(Host):
    """The embedded host as one that hands its runs to Slurm: which server carries the link does not matter."""

    @asynccontextmanager
    async def open_connection(self) -> AsyncIterator[tuple[HostConnection, AgentClient]]:
        async with super().open_connection() as (connection, link):
            yield connection, cast(AgentClient, LinkToSlurm(link))


@contextmanager
def slurm_node(request: pytest.FixtureRequest) -> Iterator[Host]:
    slurm: Slurm = request.getfixturevalue("slurm")
    try:
        yield SlurmHost(request.getfixturevalue("tmp_path") / "josé's 50% host #1; [x]")
    finally:
        slurm.clear()


HOSTS: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[Host]]] = {
    "embedded": embedded,
    "sshd as root": sshd_as_root,
    "sshd as an ordinary user": sshd_as_an_ordinary_user,
    "slurm": slurm_node,
}
"""Every kind of host: a test or a module marked ``every_host`` runs on each, with one of the two users of sshd."""
SSHD_USERS = ("sshd as root", "sshd as an ordinary user")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_host: runs on every kind of host, not on the embedded one alone")
    config.addinivalue_line("markers", "on_slurm: its host hands its runs to Slurm")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "host" not in metafunc.fixturenames:
        return
    if metafunc.definition.get_closest_marker("every_host"):
        every = list(HOSTS)
        # the two users differ in what they may do, not in how they are served: in turn, unless all is tested at full size
        if not metafunc.config.getoption("--full-size"):
            every.remove(SSHD_USERS[crc32(metafunc.definition.name.encode()) % 2])
        metafunc.parametrize("host", every, indirect=True)
    elif metafunc.definition.get_closest_marker("on_slurm"):
        metafunc.parametrize("host", ["slurm"], indirect=True)


@pytest.fixture
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    with HOSTS[getattr(request, "param", "embedded")](request) as host:
        yield host


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A real Slurm, started once and shared."""
    with running_slurm() as running:
        yield running


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A server that accepts the user who runs the tests."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    with started(Sshd(folder, ME)) as server:
        yield server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MiB."""
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def operator(tmp_path: Path) -> Path:
    """The folder of an operator's own files."""
    return tmp_path / "operator"


@pytest.fixture(scope="session")
def user() -> Iterator[str]:
    """An ordinary user who can run the system's Python."""
    with ordinary_user() as name:
        switch = {"user": name} if os.geteuid() == 0 else {}
        check = subprocess.run(["python3", "-c", ""], check=False, cwd="/", **switch)  # type: ignore[call-overload]  # noqa: S607
        if check.returncode:
            pytest.skip("no python3 that an ordinary user can run")
        yield name


@pytest.fixture
async def link(host: Host) -> AsyncIterator[AgentClient]:
    async with host.open_connection() as (_, link):
        yield link


async def launch(
    link: AgentClient,
    run: str,
    code: str,
    *,
    key: str | None = None,
    slots: int = 1,
    gpu: dict[str, str] | None = None,
    environment: tuple[str, ...] = (),
) -> str:
    """Launch Python ``code`` as a job; returns the key that the run is active under."""
    reply = await link.request(
        "launch",
        key=key or uuid.uuid4().hex,
        folder=FOLDER,
        run=run,
        slots=slots,
        settings="",
        files={},
        argv=["python3", "-c", code],
        env={},
        gpu=gpu,
        environment=environment,
    )
    return str(reply["key"])


async def states_when(
    link: AgentClient, condition: Callable[[dict[str, dict[str, Any]]], bool], timeout: float = 30.0
) -> dict[str, dict[str, Any]]:
    """The states of all runs as soon as they fulfil ``condition``."""
    digest = ""
    states: dict[str, dict[str, Any]] = {}
    async with asyncio.timeout(timeout):
        while True:
            # the host answers when they change; a condition may also be of something else
            reply = await link.request("poll", folder=FOLDER, wait=0.1, digest=digest, offsets={})
            digest, states = reply["digest"], reply.get("states", states)
            if condition(states):
                return states


def in_state(run: str, *names: str) -> Callable[[dict[str, dict[str, Any]]], bool]:
    return lambda states: run in states and states[run]["state"] in names


@pytest.fixture
def pair(host: Host, tmp_path: Path) -> Pair:
    return Pair(host, tmp_path)


@pytest.fixture
async def connection(host: Host) -> AsyncIterator[HostConnection]:
    """A connection to the host."""
    async with open_connection(host.config, host.workspace, host.access) as connected:
        yield connected
