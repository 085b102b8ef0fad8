"""Runs at home while they run: always a beginning of what the host has, of one launch."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

import pytest

from console.hosts.agent.workspace import seal
from console.hosts.pull.capsule import pull
from console.hosts.pull.live_mirror import LiveMirror, Mirrored, keep_mirrored
from console.hosts.pull.tail import HeldPlace
from console.hosts.pull.verify import local_manifest
from console.hosts.ssh.access import Timeouts
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.connection import open_connection
from console.hosts.ssh.errors import LinkDown
from console.hosts.transfer.channel import TransferChannel, open_transfer
from console.runs.snapshot import SyncState
from engine.contract.settings import RunId
from tests.console.hosts.conftest import Host
from tests.console.hosts.folder_pair import tree
from tests.console.hosts.proxy import proxy_to
from tests.console.hosts.sshd import Sshd

RUN, OTHER = RunId("A", 42), RunId("B", 42)
QUICK = Timeouts(keepalive=0.4, misses=20)


class Running:
    """A run on the host, as the mirror sees it."""

    def __init__(self, folder: Path, run: RunId = RUN) -> None:
        self.folder = folder / str(run)
        self.key = ""
        self.launch()

    def launch(self) -> None:
        if self.folder.exists():
            self.folder.rename(self.folder.with_name(f".previous-{self.key}"))
        self.key = uuid.uuid4().hex
        self.folder.mkdir(parents=True)
        (self.folder / "state.json").write_text(json.dumps({"key": self.key, "state": "running"}))

    def write(self, events: bytes = b"", log: bytes = b"") -> None:
        for name, content in (("events.jsonl", events), ("log.txt", log)):
            with open(self.folder / name, "ab") as file:
                file.write(content)

    def content(self) -> dict[str, bytes]:
        return {name: (self.folder / name).read_bytes() for name in ("events.jsonl", "log.txt")}


@pytest.fixture
def runs(host: Host) -> Path:
    return host.workspace / "runs" / "experiment"


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
async def channel(connection: HostConnection) -> AsyncIterator[TransferChannel]:
    async with open_transfer(connection) as channel:
        yield channel


def mirror_in(runs_dir: Path) -> LiveMirror:
    return LiveMirror(runs_dir, "runs/experiment")


async def test_what_a_run_writes_comes_home_while_it_runs(channel: TransferChannel, runs: Path, runs_dir: Path) -> None:
    run, other, mirror = Running(runs), Running(runs, OTHER), mirror_in(runs_dir)
    draw = random.Random(1)
    for _ in range(5):
        run.write(draw.randbytes(draw.randrange(100_000)), draw.randbytes(draw.randrange(9)))
        other.write(log=b"x")
        found = await mirror.catch_up(channel, [RUN, OTHER])
        assert tree(mirror.place(RUN, run.key)) == run.content()
        assert tree(mirror.place(OTHER, other.key)) == other.content()
        assert {one.run: one.sizes for one in found}[RUN] == {name: len(at) for name, at in run.content().items()}
    assert all(one.new == 0 for one in await mirror.catch_up(channel, [RUN, OTHER]))


async def test_a_run_that_is_not_there_is_left_out(channel: TransferChannel, runs: Path, runs_dir: Path) -> None:
    run, mirror = Running(runs), mirror_in(runs_dir)
    run.write(b"1")
    found = await mirror.catch_up(channel, [RUN, OTHER])
    assert [one.run for one in found] == [RUN]


async def test_another_launch_goes_into_another_folder(channel: TransferChannel, runs: Path, runs_dir: Path) -> None:
    run, mirror = Running(runs), mirror_in(runs_dir)
    run.write(b"first launch\n", b"first log\n")
    await mirror.catch_up(channel, [RUN])
    first, before = run.key, run.content()
    run.launch()
    run.write(b"second launch, longer than the first\n", b"second log, longer than the first\n")
    (found,) = await mirror.catch_up(channel, [RUN])
    assert found.key == run.key != first
    assert tree(mirror.place(RUN, first)) == before and tree(mirror.place(RUN, run.key)) == run.content()


async def test_another_console_goes_on_where_the_one_before_it_stopped(
    channel: TransferChannel, runs: Path, runs_dir: Path
) -> None:
    run = Running(runs)
    run.write(os.urandom(200_000))
    await mirror_in(runs_dir).catch_up(channel, [RUN])
    run.write(os.urandom(100))
    mirror = mirror_in(runs_dir)
    (found,) = await mirror.catch_up(channel, [RUN])
    assert found.new == 100 and tree(mirror.place(RUN, run.key)) == run.content()


async def test_two_consoles_that_share_a_home_double_nothing(
    connection: HostConnection, runs: Path, runs_dir: Path
) -> None:
    run, draw = Running(runs), random.Random(3)
    mirrors = [mirror_in(runs_dir), mirror_in(runs_dir)]
    async with open_transfer(connection) as one, open_transfer(connection) as other:
        for _ in range(30):
            run.write(draw.randbytes(draw.randrange(50_000)), draw.randbytes(9))
            both = zip(mirrors, (one, other), strict=True)
            await asyncio.gather(*(mirror.catch_up(channel, [RUN]) for mirror, channel in both))
            for name, content in tree(mirrors[0].place(RUN, run.key)).items():
                assert run.content()[name].startswith(content)
        await mirrors[0].catch_up(one, [RUN])
    assert tree(mirrors[0].place(RUN, run.key)) == run.content()


async def test_a_file_that_was_begun_anew_under_the_same_launch_is_too(
    channel: TransferChannel, runs: Path, runs_dir: Path
) -> None:
    run, mirror = Running(runs), mirror_in(runs_dir)
    run.write(b"a job that was requeued\n" * 9)
    await mirror.catch_up(channel, [RUN])
    (run.folder / "events.jsonl").write_bytes(b"begins anew\n")
    for _ in range(2):
        await mirror.catch_up(channel, [RUN])
    assert tree(mirror.place(RUN, run.key)) == run.content()


async def test_beginnings_are_not_taken_from_a_console_that_stands_still_in_mid_look(
    connection: HostConnection, channel: TransferChannel, runs: Path, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.hosts.pull.capsule.LOOK_ENDS_S", 0.1)
    run, mirror = Running(runs), mirror_in(runs_dir)
    run.write(os.urandom(1000))
    await mirror.catch_up(channel, [RUN])
    seal(run.folder, run.key)
    mirrored = functools.partial(mirror.place, RUN)
    with HeldPlace(mirror.place(RUN, run.key)):
        await pull(connection, PurePosixPath(run.folder), runs_dir, RUN, lambda _: None, mirrored=mirrored)
        assert (mirror.place(RUN, run.key) / "events.jsonl").stat().st_size == 1000
    assert tree(runs_dir / str(RUN)) == tree(run.folder)


async def test_another_console_leaves_alone_what_is_of_an_older_launch(
    channel: TransferChannel, runs: Path, runs_dir: Path
) -> None:
    run = Running(runs)
    run.write(b"first launch\n" * 9, b"first log\n" * 9)
    await mirror_in(runs_dir).catch_up(channel, [RUN])
    first, before = run.key, run.content()
    run.launch()
    run.write(b"second launch\n", b"second log\n")
    mirror = mirror_in(runs_dir)
    (found,) = await mirror.catch_up(channel, [RUN])
    assert found.key == run.key and tree(mirror.place(RUN, run.key)) == run.content()
    assert tree(mirror.place(RUN, first)) == before


async def test_a_beginning_that_is_not_the_hosts_is_replaced_by_it(
    channel: TransferChannel, runs: Path, runs_dir: Path
) -> None:
    run, mirror = Running(runs), mirror_in(runs_dir)
    run.write(b"what the host has\n")
    place = mirror.place(RUN, run.key)
    place.mkdir(parents=True)
    (place / "events.jsonl").write_bytes(b"what it has not")
    await mirror.catch_up(channel, [RUN])
    assert tree(place) == run.content()


async def test_whenever_the_link_breaks_what_is_at_home_is_a_beginning(
    host: Host, sshd: Sshd, runs: Path, runs_dir: Path, tmp_path: Path
) -> None:
    run, draw = Running(runs), random.Random(2)
    run.write(draw.randbytes(400_000), draw.randbytes(400_000))
    mirror = mirror_in(runs_dir)
    broke = 0
    async with proxy_to(sshd.port) as proxy:
        proxy.cut_after(draw.randrange(100_000, 700_000) for _ in range(2))
        config = sshd.host(host.workspace, proxy.port)
        access = sshd.access(tmp_path / "operator", timeouts=QUICK, port=proxy.port)
        async with asyncio.timeout(60):
            while True:
                try:
                    async with (
                        open_connection(config, tmp_path, access) as connection,
                        open_transfer(connection) as channel,
                    ):
                        await mirror.catch_up(channel, [RUN])
                        break
                except LinkDown:
                    broke += 1
                for name, content in tree(mirror.place(RUN, run.key)).items():
                    assert run.content()[name].startswith(content)
    assert broke and tree(mirror.place(RUN, run.key)) == run.content()


async def test_active_runs_are_mirrored_until_the_link_breaks(
    connection: HostConnection, runs: Path, runs_dir: Path
) -> None:
    run, mirror, told = Running(runs), mirror_in(runs_dir), asyncio.Queue[tuple[Mirrored, ...]]()
    active: list[RunId] = []
    keeping = asyncio.create_task(
        keep_mirrored(connection, mirror, lambda: active, lambda found, _: told.put_nowait(found), every_s=0.01)
    )
    async with asyncio.timeout(10):
        run.write(log=b"written before anybody looked")
        active.append(RUN)
        for size in (39, 49):
            run.write(log=bytes(10))
            while not (found := await told.get()) or found[0].sizes["log.txt"] < size:
                pass
        connection.channels.abort()
        with pytest.raises(LinkDown):
            await keeping
    assert tree(mirror.place(RUN, run.key)) == run.content()


async def test_the_sealed_capsule_takes_over_what_is_at_home_already(
    connection: HostConnection, channel: TransferChannel, runs: Path, runs_dir: Path
) -> None:
    run, mirror = Running(runs), mirror_in(runs_dir)
    run.write(os.urandom(500_000), os.urandom(100))
    await mirror.catch_up(channel, [RUN])
    run.write(b"its last words\n")
    seal(run.folder, run.key)
    reports: list[SyncState] = []
    await pull(
        connection,
        PurePosixPath(run.folder),
        runs_dir,
        RUN,
        reports.append,
        mirrored=lambda key: mirror.place(RUN, key),
    )
    mirror.settled(RUN, run.key)
    assert tree(runs_dir / str(RUN)) == tree(run.folder) and local_manifest(runs_dir, RUN) is not None
    assert next(report.bytes_done for report in reports if report.bytes_total) == 500_100
    assert not mirror.place(RUN, run.key).exists()
