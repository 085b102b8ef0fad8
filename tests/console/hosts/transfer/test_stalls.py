"""A transfer process on the host that stands still is given up, which is said, and a new one continues."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from console.hosts.agent.transfer import HEARTBEAT_S
from console.hosts.host_config import HostConfig
from console.hosts.ssh.channels import HostConnection
from console.hosts.transfer import channel
from console.hosts.transfer.channel import MAX_STALLS, open_transfer
from console.hosts.transfer.errors import Stalled
from console.hosts.transfer.folder_sync import pull, push
from console.hosts.transfer.verdict import Progress
from tests.console.hosts.conftest import FOLDER, Host, in_state, launch, states_when
from tests.console.hosts.folder_pair import Pair, tree, write
from tests.console.hosts.kept_link import RUN, kept_link, until

SIZE = 40 << 20
FAULT = pytest.mark.fault(
    "a transfer process on the host stands still", "it is given up, which is said, and a new one continues"
)


@pytest.fixture(autouse=True)
def short_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "STALL_S", 3 * HEARTBEAT_S)


def transfers_in(workspace: Path) -> list[psutil.Process]:
    """The transfer processes of ``workspace``."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if (process.info["cmdline"] or [])[-2:] == ["transfer", str(workspace)]
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


class Stopper:
    """Stops the first ``times`` transfer processes of ``workspace``, each as soon as it is called with it at work."""

    def __init__(self, workspace: Path, times: int) -> None:
        self.stopped: set[int] = set()
        self._workspace = workspace
        self._times = times

    def __call__(self, *_: object) -> None:
        for process in transfers_in(self._workspace):
            if len(self.stopped) < self._times and process.pid not in self.stopped:
                self.stopped.add(process.pid)
                process.suspend()

    def kill(self) -> None:
        for pid in self.stopped:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()


@asynccontextmanager
async def stopper(workspace: Path, times: int) -> AsyncIterator[Stopper]:
    stop = Stopper(workspace, times)
    try:
        yield stop
    finally:
        stop.kill()


@FAULT
@pytest.mark.parametrize("host", ["embedded", "sshd as root"], indirect=True)
@pytest.mark.parametrize("direction", ["push", "pull"])
async def test_a_folder_sync_continues_with_a_new_process(
    pair: Pair, connection: HostConnection, direction: str
) -> None:
    source, target = (pair.local, pair.remote) if direction == "push" else (pair.remote, pair.local)
    write(source, {"big.bin": os.urandom(SIZE), "small": b"s"})
    reports: list[Progress] = []
    async with stopper(pair.host.workspace, 1) as stop:

        def report(progress: Progress) -> None:
            reports.append(progress)
            if progress.bytes_done > SIZE / 4:
                stop()

        sync: Any = {"push": push, "pull": pull}[direction]
        verdict = await sync(connection, pair.request(), report=report)
        assert not stop.stopped & {process.pid for process in transfers_in(pair.host.workspace)}
    assert len(stop.stopped) == 1 and verdict.full and tree(target) == tree(source)
    (note,) = (progress.note for progress in reports if progress.note)
    assert note == "the transfer process on the host stood still for 3 s; a new one continues"
    begins = [later for earlier, later in itertools.pairwise(reports) if earlier.note]
    assert begins[0].bytes_done > 0, "it continues from what had arrived"


async def test_a_host_whose_every_process_stands_still_is_said_after_a_few(
    pair: Pair, connection: HostConnection
) -> None:
    write(pair.local, {"big.bin": os.urandom(SIZE)})
    async with stopper(pair.host.workspace, MAX_STALLS) as stop:
        with pytest.raises(Stalled, match="stood still for 3 s"):
            await push(connection, pair.request(), report=stop)
    assert len(stop.stopped) == MAX_STALLS


@FAULT
@pytest.mark.parametrize("times", [1, MAX_STALLS])
async def test_the_pull_of_a_run_continues_with_a_new_process_and_its_sync_state_says_why(
    host: Host, tmp_path: Path, times: int
) -> None:
    code = f"import os\nopen('runs/{FOLDER}/{RUN}/items.parquet', 'wb').write(os.urandom({SIZE}))"
    async with host.open_connection() as (_, agent):
        await launch(agent, str(RUN), code)
        await states_when(agent, in_state(str(RUN), "finished"))
    config = HostConfig("here", "embedded", workspace=str(host.workspace))
    notes: list[str] = []
    async with stopper(host.workspace, times) as stop:
        async with kept_link(config, tmp_path / "local", host.access) as (link, following, changed):
            states, on_change = link.run_sync.sync_states, link.run_sync._on_change

            def see() -> None:
                if states[RUN].status == "pulling" and states[RUN].bytes_total:
                    stop()
                if states[RUN].status == "not synced" and states[RUN].note not in ["", *notes]:
                    notes.append(states[RUN].note)
                on_change()

            link.run_sync._on_change = see
            await until(lambda: states[RUN].status in ("synced", "damaged") or following.done(), changed, 60)
            if times == MAX_STALLS:
                assert "stood still for 3 s, 3 times in a row" in states[RUN].note
                assert link.run_sync.pull_again() == (RUN,)
                await until(lambda: states[RUN].status == "synced" or following.done(), changed, 60)
        assert len(stop.stopped) == times and not stop.stopped & {one.pid for one in transfers_in(host.workspace)}
    assert notes == ["the transfer process on the host stood still for 3 s; a new one continues the pull"]
    items = Path(str(RUN), "items.parquet")
    assert (tmp_path / "local" / FOLDER / items).read_bytes() == (host.run_folder / items).read_bytes()


async def test_a_process_that_works_for_long_without_a_word_is_not_given_up(
    connection: HostConnection,
) -> None:
    """Its heartbeat tells it from one that stands still."""
    async with open_transfer(connection) as waiting:
        reading = asyncio.create_task(waiting.read_reply())  # nothing was requested, so that no reply comes
        done, _ = await asyncio.wait({reading}, timeout=6 * HEARTBEAT_S)
        assert not done
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
