"""Runs come home while they run and are sealed when they end, whatever happens to link, console, disk and run meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from console.hosts.host_config import HostConfig
from console.hosts.host_link import HostLink
from console.hosts.pull import live_mirror, run_sync
from console.hosts.pull.run_sync import RunSync
from console.hosts.pull.verify import local_manifest
from console.hosts.remote.agent_client import AgentClient
from console.hosts.ssh.access import Access, Timeouts
from console.runs.run_view import RunView
from console.runs.snapshot import SyncState
from engine.contract.settings import RunId
from engine.contract.state import RunState
from tests.console.hosts.conftest import FOLDER, Host, in_state, launch, states_when
from tests.console.hosts.folder_pair import tree
from tests.console.hosts.proxy import proxy_to
from tests.console.hosts.small_disk import fill
from tests.console.hosts.sshd import Sshd

RUN = RunId("A", 42)
QUICK = Timeouts(handshake=3.0, keepalive=0.4, misses=5, backoff=(0.05, 0.5))
FIRST = 300_000
# writes FIRST bytes of events, then as many lines of log as the file `go` says, and ends when it says `end`
JOB = f"""
import pathlib, sys, time
run, go, said = pathlib.Path("runs/{FOLDER}/{RUN}"), pathlib.Path("go"), 0
(run / "events.jsonl").write_bytes(bytes({FIRST}))
while True:
    wanted = go.read_text() if go.exists() else ""
    if wanted == "end":
        break
    while said < int(wanted or 0):
        said += 1
        print(f"line {{said:08d}}", flush=True)
    time.sleep(0.02)
"""
LINE = len("line 00000000\n")


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds takes hundredths."""
    monkeypatch.setattr(run_sync, "keep_mirrored", partial(live_mirror.keep_mirrored, every_s=0.05))
    monkeypatch.setattr(live_mirror, "RETRY_S", 0.1)
    monkeypatch.setattr(run_sync, "ROOM_AGAIN_S", 0.1)
    monkeypatch.setattr(run_sync, "TURN_AGAIN_S", 0.1)


class Console:
    """One that looks on, and what it knows of the run."""

    def __init__(self, link: HostLink, changed: asyncio.Event) -> None:
        self.link = link
        self._changed = changed

    def watch(self, see: Callable[[SyncState], None]) -> None:
        """Be told of each change, none of them left out."""
        tell = self.link.run_sync._tell

        def told() -> None:
            see(self.runs_dir)
            tell()

        self.link.run_sync._tell = told

    @property
    def runs_dir(self) -> SyncState:
        return self.link.run_sync.sync_states[RUN]

    async def until(self, condition: Callable[[SyncState], bool], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition(self.runs_dir):
                self._changed.clear()
                await self._changed.wait()

    async def mirrored(self, size: int) -> None:
        await self.until(lambda runs_dir: runs_dir.status == "syncing" and runs_dir.bytes_done == size)

    async def at_home(self) -> None:
        await self.until(lambda runs_dir: runs_dir.status == "synced")


@asynccontextmanager
async def console(
    config: HostConfig, runs_dir: Path, access: Access | None = None, *, syncs_runs: bool = True
) -> AsyncIterator[Console]:
    """A read-only console: it holds no lease, and writes nothing but at home."""
    changed = asyncio.Event()
    link = HostLink(
        "host",
        config,
        FOLDER,
        runs_dir,
        (RUN,),
        wants_lease=False,
        take_over=False,
        tell=changed.set,
        access=access,
        syncs_runs=syncs_runs,
    )
    following = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(20):
            await link.ready.wait()
        yield Console(link, changed)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


class Place:
    """A host with a run to steer, and the home it comes to."""

    def __init__(self, host: Host, runs_dir: Path) -> None:
        self.host = host
        self.config = HostConfig("here", "embedded", workspace=str(host.workspace))
        self.runs_dir = runs_dir
        self.on_host = host.run_folder / str(RUN)
        self.at_home = runs_dir / FOLDER / str(RUN)

    def say(self, word: str) -> None:
        temporary = self.host.workspace / "go.new"
        temporary.write_text(word)
        temporary.replace(self.host.workspace / "go")

    def assert_home(self) -> None:
        """Byte for byte, sealed, and nothing of its beginnings is left."""
        assert tree(self.at_home) == tree(self.on_host)
        assert local_manifest(self.runs_dir / FOLDER, RUN) is not None
        assert not (self.runs_dir / FOLDER / ".live").exists()


@pytest.fixture
def place(host: Host, tmp_path: Path) -> Place:
    return Place(host, tmp_path / "home")


@pytest.fixture
async def steered(place: Place, link: AgentClient) -> AsyncIterator[str]:
    """The run's launch key; the run is ended with the test."""
    key = await launch(link, str(RUN), JOB)
    await states_when(link, in_state(str(RUN), "running"))
    yield key
    place.say("end")
    await states_when(link, in_state(str(RUN), "finished"))


async def ended(place: Place, link: AgentClient) -> None:
    place.say("end")
    await states_when(link, in_state(str(RUN), "finished"))


@pytest.mark.usefixtures("steered")
async def test_a_run_is_at_home_while_it_runs_and_sealed_when_it_ends(place: Place, link: AgentClient) -> None:
    async with console(place.config, place.runs_dir) as one:
        await one.mirrored(FIRST)
        place.say("3")
        await one.mirrored(FIRST + 3 * LINE)
        live = tree(place.runs_dir / FOLDER / ".live" / str(RUN))
        assert sorted(map(len, live.values())) == [3 * LINE, FIRST]
        seen: list[SyncState] = []
        one.watch(seen.append)
        await ended(place, link)
        await one.at_home()
        first = next(runs_dir for runs_dir in seen if runs_dir.status == "pulling" and runs_dir.bytes_total)
        assert first.bytes_done >= FIRST + 3 * LINE, "what was at home already was not fetched again"
        await until_gone(place)
    place.assert_home()


async def until_gone(place: Place) -> None:
    """The beginnings are done away with right after the capsule is in place."""
    async with asyncio.timeout(10):
        while (place.runs_dir / FOLDER / ".live").exists():
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("steered")
async def test_one_channel_carries_the_mirror_and_none_when_nothing_runs(place: Place, link: AgentClient) -> None:
    async with console(place.config, place.runs_dir) as one:
        await one.mirrored(FIRST)
        channels = one.link.connected()[0].channels
        assert channels._open == 2
        await ended(place, link)
        await one.at_home()
        async with asyncio.timeout(10):
            while channels._open != 1:
                await asyncio.sleep(0.01)


async def test_a_console_that_was_restarted_goes_on_and_one_that_only_looks_says_what_is_here(
    place: Place, link: AgentClient, steered: str
) -> None:
    async with console(place.config, place.runs_dir) as one:
        await one.mirrored(FIRST)
    async with console(place.config, place.runs_dir, syncs_runs=False) as looking:
        assert looking.runs_dir == SyncState("syncing", bytes_done=FIRST)
    place.say("5")
    async with console(place.config, place.runs_dir) as other:
        await other.mirrored(FIRST + 5 * LINE)
        await ended(place, link)
        await other.at_home()
        await until_gone(place)
    place.assert_home()
    manifest = local_manifest(place.runs_dir / FOLDER, RUN)
    assert manifest is not None and manifest.key == steered


async def test_a_run_that_ended_while_no_console_looked_takes_over_what_was_here(
    place: Place, link: AgentClient, steered: str
) -> None:
    async with console(place.config, place.runs_dir) as one:
        await one.mirrored(FIRST)
    await ended(place, link)
    async with console(place.config, place.runs_dir) as other:
        await other.at_home()
        await until_gone(place)
    place.assert_home()


async def test_a_run_launched_anew_is_mirrored_anew_and_what_is_left_of_the_older_is_set_aside(
    place: Place, link: AgentClient, steered: str
) -> None:
    async with console(place.config, place.runs_dir) as one:
        await one.mirrored(FIRST)
    await ended(place, link)
    place.say("2")
    newer = await launch(link, str(RUN), JOB.replace("line", "newer"))
    async with console(place.config, place.runs_dir) as other:
        await other.mirrored(FIRST + 2 * (LINE + 1))
        await ended(place, link)
        await other.at_home()
        await until_gone(place)
    place.assert_home()
    manifest = local_manifest(place.runs_dir / FOLDER, RUN)
    assert manifest is not None and manifest.key == newer
    aside = tree(place.runs_dir / FOLDER / ".previous" / f"{RUN}-{steered}")
    assert aside == {"events.jsonl": bytes(FIRST), "log.txt": b""}


async def test_a_capsule_of_an_older_launch_is_not_taken_for_the_present_one(
    place: Place, link: AgentClient, steered: str
) -> None:
    async with console(place.config, place.runs_dir) as one:
        await ended(place, link)
        await one.at_home()
        place.say("")
        newer = await launch(link, str(RUN), JOB)
        assert newer != steered
        await one.mirrored(FIRST)
        await ended(place, link)
        await one.at_home()
        await until_gone(place)
    place.assert_home()
    assert (place.runs_dir / FOLDER / ".previous" / f"{RUN}-{steered}" / "manifest.json").exists()


async def test_dropped_links_lose_and_double_nothing(host: Host, sshd: Sshd, tmp_path: Path) -> None:
    place = Place(host, tmp_path / "home")
    async with proxy_to(sshd.port) as proxy, host.open_connection() as (_, link):
        config = sshd.host(host.workspace, proxy.port)
        access = sshd.access(tmp_path / "operator", timeouts=QUICK, port=proxy.port)
        await launch(link, str(RUN), JOB)
        async with console(config, place.runs_dir, access) as one:
            for lines in (10, 20, 30):
                await one.until(lambda runs_dir: runs_dir.status == "syncing" and runs_dir.bytes_done >= FIRST)
                proxy.drop()
                place.say(str(lines))
                await one.mirrored(FIRST + lines * LINE)
            place.say("end")
            await one.at_home()
            await until_gone(place)
        assert proxy.connections > 3
        await states_when(link, in_state(str(RUN), "finished"))
    place.assert_home()


@pytest.mark.usefixtures("steered")
async def test_two_consoles_with_one_home_take_turns(place: Place, link: AgentClient) -> None:
    async with console(place.config, place.runs_dir) as one, console(place.config, place.runs_dir) as other:
        for lines in (3, 2000):
            place.say(str(lines))
            await asyncio.gather(*(both.mirrored(FIRST + lines * LINE) for both in (one, other)))
        await ended(place, link)
        await asyncio.gather(one.at_home(), other.at_home())
        await until_gone(place)
    place.assert_home()
    assert not (place.runs_dir / FOLDER / ".previous").exists(), "it came once"


@pytest.mark.usefixtures("steered")
async def test_a_full_disk_at_home_is_said_and_the_link_lives_on(
    host: Host, link: AgentClient, small_disk: Path
) -> None:
    place = Place(host, small_disk / "home")
    place.runs_dir.mkdir()
    filler = fill(small_disk, FIRST // 2)
    async with console(place.config, place.runs_dir) as one:
        await one.until(lambda runs_dir: f"the disk of this machine at {small_disk} is full" in runs_dir.note)
        assert one.runs_dir.status == "syncing" and one.link.view.link == "up"
        place.say("4")
        filler.unlink()
        await one.mirrored(FIRST + 4 * LINE)
        assert not one.runs_dir.note
        filler = fill(small_disk, 0)
        await ended(place, link)
        await one.until(lambda runs_dir: runs_dir.status == "not synced" and "is full" in runs_dir.note)
        assert one.link.view.link == "up"
        filler.unlink()
        await one.at_home()
        await until_gone(place)
    place.assert_home()


async def test_what_a_lost_run_left_is_brought_whole_and_then_let_be(host: Host, tmp_path: Path) -> None:
    """Nothing seals it, so nothing pulls it."""
    run, key = host.run_folder / str(RUN), "f" * 32
    changed = asyncio.Event()
    coming = RunSync(tmp_path / "home", FOLDER, (RUN,), changed.set)
    async with host.open_connection() as (connection, _):
        run.mkdir(parents=True)
        (run / "state.json").write_text(f'{{"key": "{key}", "state": "running"}}')
        (run / "log.txt").write_text("last words")
        mirroring = asyncio.create_task(coming.mirror(connection))
        coming.heard({RUN: RunView(RUN, state=RunState("lost", key, ended_at=1.0))}, {RUN: ""})
        async with asyncio.timeout(10):
            while coming._growing():
                changed.clear()
                await changed.wait()
            while connection.channels._open > 1:
                await asyncio.sleep(0.01)
        mirroring.cancel()
    assert coming.sync_states[RUN].status == "syncing" and coming.sync_states[RUN].bytes_done == 10
    assert tree(tmp_path / "home" / FOLDER / ".live" / str(RUN) / key)["log.txt"] == b"last words"


@pytest.mark.usefixtures("steered")
async def test_a_capsule_that_came_damaged_is_asked_for_again_on_request(place: Place, link: AgentClient) -> None:
    spoil = os.urandom(FIRST)
    async with console(place.config, place.runs_dir, syncs_runs=False):
        await ended(place, link)
    right = (place.on_host / "events.jsonl").read_bytes()
    (place.on_host / "events.jsonl").write_bytes(spoil)
    async with console(place.config, place.runs_dir) as one:
        await one.until(lambda runs_dir: runs_dir.status == "damaged")
        assert "events.jsonl is not what its manifest says" in one.runs_dir.note and one.link.view.link == "up"
        (place.on_host / "events.jsonl").write_bytes(right)
        assert one.link.run_sync.again() == (RUN,)
        await one.at_home()
        assert one.link.run_sync.again() == ()
    place.assert_home()
