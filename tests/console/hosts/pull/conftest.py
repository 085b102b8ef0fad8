"""A run that does what the test says, and consoles without a screen that sync it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from console.hosts import host_link
from console.hosts.host_config import HostConfig
from console.hosts.host_link import HostLink
from console.hosts.pull import follower, run_sync
from console.hosts.pull.verify import local_manifest
from console.hosts.remote.agent_client import AgentClient
from console.hosts.ssh.access import Access
from console.runs.snapshot import SyncState
from tests.console.hosts.conftest import FOLDER, Host, in_state, launch, states_when
from tests.console.hosts.folder_pair import tree
from tests.console.hosts.kept_link import RUN, kept_link, until

FIRST = 300_000
# writes FIRST bytes of events, then as many lines of log as the file `go` says, and ends when it says `end`
JOB = f"""
import pathlib, sys, time
run, go, written = pathlib.Path("runs/{FOLDER}/{RUN}"), pathlib.Path("go"), 0
(run / "events.jsonl").write_bytes(bytes({FIRST}))
while True:
    wanted = go.read_text() if go.exists() else ""
    if wanted == "end":
        break
    while written < int(wanted or 0):
        written += 1
        print(f"line {{written:08d}}", flush=True)
    time.sleep(0.02)
"""
LINE = len("line 00000000\n")
GROWING = ("events.jsonl", "log.txt")


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_link, "POLL_WAIT_S", 0.1)
    monkeypatch.setattr(follower, "RETRY_S", 0.1)
    monkeypatch.setattr(run_sync, "NO_ROOM_RETRY_S", 0.1)


class Console:
    """A console without a screen, and the sync state of its run."""

    def __init__(self, link: HostLink, following: asyncio.Task[None], changed: asyncio.Event) -> None:
        self.link = link
        self._following = following
        self._changed = changed

    def watch(self, see: Callable[[SyncState], None]) -> None:
        """Call ``see`` with every sync state, none left out."""
        on_change = self.link.run_sync._on_change

        def changed() -> None:
            see(self.sync_state)
            on_change()

        self.link.run_sync._on_change = changed

    async def leave(self) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    @property
    def sync_state(self) -> SyncState:
        return self.link.run_sync.sync_states[RUN]

    async def until(self, condition: Callable[[SyncState], bool], seconds: float = 60.0) -> None:
        await until(lambda: condition(self.sync_state), self._changed, seconds)

    async def synced_to(self, size: int) -> None:
        await self.until(lambda state: state.status == "syncing" and state.bytes_done == size)

    async def synced(self) -> None:
        await self.until(lambda state: state.status == "synced")


@asynccontextmanager
async def console(
    config: HostConfig, runs_dir: Path, access: Access | None = None, *, syncs_runs: bool = True
) -> AsyncIterator[Console]:
    """A console without a screen, once it is ready."""
    async with kept_link(config, runs_dir, access, syncs_runs=syncs_runs) as parts:
        yield Console(*parts)


class SteeredRun:
    """A run on a host that does what the test says, and the local folder that it is synced to."""

    def __init__(self, host: Host, runs_dir: Path) -> None:
        self.host = host
        self.config = HostConfig("here", "embedded", workspace=str(host.workspace))
        self.runs_dir = runs_dir
        self.remote = host.run_folder / str(RUN)
        self.folder = runs_dir / FOLDER
        self.local = self.folder / str(RUN)

    def steer(self, command: str) -> None:
        temporary = self.host.workspace / "go.new"
        temporary.write_text(command)
        temporary.replace(self.host.workspace / "go")

    async def end(self, link: AgentClient) -> None:
        self.steer("end")
        await states_when(link, in_state(str(RUN), "finished"))

    def live(self, key: str) -> dict[str, bytes]:
        return {
            name: content for name, content in tree(self.folder / ".live" / str(RUN) / key).items() if name in GROWING
        }

    async def until_cleaned_up(self) -> None:
        """Live copies are deleted right after the capsule is in place."""
        async with asyncio.timeout(10):
            while (self.folder / ".live").exists():
                await asyncio.sleep(0.01)

    def assert_synced(self) -> None:
        """Byte for byte, sealed, and without a live copy."""
        assert tree(self.local) == tree(self.remote)
        assert local_manifest(self.folder, RUN) is not None
        assert not (self.folder / ".live").exists()


@pytest.fixture
def steered(host: Host, tmp_path: Path) -> SteeredRun:
    return SteeredRun(host, tmp_path / "local")


@pytest.fixture
async def key(steered: SteeredRun, link: AgentClient) -> AsyncIterator[str]:
    """Launch key of the steered run; the run is ended with the test."""
    key = await launch(link, str(RUN), JOB)
    await states_when(link, in_state(str(RUN), "running"))
    yield key
    await steered.end(link)
