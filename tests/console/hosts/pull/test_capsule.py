"""Pulls of sealed runs over real SSH: whole and verified, or nothing changes."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from pathlib import Path, PurePosixPath

import asyncssh
import pytest

from console.hosts.agent.receive import STAGING
from console.hosts.agent.workspace import seal
from console.hosts.pull.capsule import Damaged, pull
from console.hosts.pull.verify import local_manifest
from console.hosts.ssh.access import Timeouts
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.connection import open_connection
from console.hosts.ssh.errors import LinkDown
from console.hosts.transfer.errors import RetryLater
from console.runs.snapshot import SyncState
from engine.contract.file_lock import take_lock
from engine.contract.settings import RunId
from tests.console.hosts.conftest import Host
from tests.console.hosts.folder_pair import tree, write
from tests.console.hosts.proxy import proxy_to
from tests.console.hosts.small_disk import fill
from tests.console.hosts.sshd import Sshd

RUN = RunId("A", 42)
QUICK = Timeouts(keepalive=0.4, misses=20)


@pytest.fixture
def capsule(tmp_path: Path) -> Path:
    folder = tmp_path / "remote" / str(RUN)
    (folder / "sub").mkdir(parents=True)
    (folder / "big.bin").write_bytes(os.urandom(1_000_000))
    (folder / "sub" / "empty").write_bytes(b"")
    seal(folder, "one")
    return folder


async def pull_it(
    host: Host,
    capsule: Path,
    runs_dir: Path,
    reports: list[SyncState] | None = None,
    *,
    key: str = "one",
    again: bool = False,
) -> None:
    async with host.open_connection() as (connection, _):
        report = (reports if reports is not None else []).append
        await pull(connection, PurePosixPath(capsule), runs_dir, RUN, key, report, again=again)


async def test_a_capsule_is_pulled_byte_for_byte(host: Host, capsule: Path, tmp_path: Path) -> None:
    reports: list[SyncState] = []
    await pull_it(host, capsule, tmp_path / "local", reports)
    assert tree(tmp_path / "local" / str(RUN)) == tree(capsule)
    manifest = local_manifest(tmp_path / "local", RUN)
    assert manifest is not None and manifest.key == "one"
    assert reports[-1] == SyncState("pulling", 2, 2, 1_000_000, 1_000_000, left=0.0)


async def test_a_newer_capsule_sets_the_older_aside(host: Host, capsule: Path, tmp_path: Path) -> None:
    runs_dir = tmp_path / "local"
    await pull_it(host, capsule, runs_dir)
    older = tree(capsule)
    (capsule / "big.bin").write_bytes(b"new")
    seal(capsule, "two")
    await pull_it(host, capsule, runs_dir, key="two")
    assert tree(runs_dir / str(RUN)) == tree(capsule)
    assert tree(runs_dir / ".previous" / f"{RUN}-one") == older


async def test_a_capsule_that_is_synced_is_pulled_again_only_on_request(
    host: Host, capsule: Path, tmp_path: Path
) -> None:
    runs_dir = tmp_path / "local"
    await pull_it(host, capsule, runs_dir)
    (runs_dir / str(RUN) / "big.bin").write_bytes(b"spoiled")
    await pull_it(host, capsule, runs_dir)
    assert (runs_dir / str(RUN) / "big.bin").read_bytes() == b"spoiled" and not (runs_dir / ".previous").exists()
    await pull_it(host, capsule, runs_dir, again=True)
    assert tree(runs_dir / str(RUN)) == tree(capsule)
    assert (runs_dir / ".previous" / f"{RUN}-one" / "big.bin").read_bytes() == b"spoiled"


@pytest.mark.parametrize("damage", [b"", b"x" * 1_000_000, b"x" * 2_000_000], ids=["cut", "changed", "grown"])
async def test_a_file_that_differs_from_the_manifest_changes_nothing_local(
    host: Host, capsule: Path, tmp_path: Path, damage: bytes
) -> None:
    runs_dir = tmp_path / "local"
    await pull_it(host, capsule, runs_dir)
    before = tree(runs_dir / str(RUN))
    seal(capsule, "two")
    (capsule / "big.bin").write_bytes(damage)
    with pytest.raises(Damaged, match=r"big\.bin is not what its manifest says"):
        await pull_it(host, capsule, runs_dir, key="two")
    assert tree(runs_dir / str(RUN)) == before


async def test_bytes_of_a_live_copy_are_taken_over_and_a_copy_that_differs_is_not(host: Host, tmp_path: Path) -> None:
    events, log = os.urandom(500_000), os.urandom(300_000)
    capsule = sealed(tmp_path / "remote" / str(RUN), {"events.jsonl": events, "log.txt": log})
    write(tmp_path / "live", {"events.jsonl": events[:400_000], "log.txt": b"another log"})
    reports: list[SyncState] = []
    async with host.open_connection() as (connection, _):
        await pull(
            connection,
            PurePosixPath(capsule),
            tmp_path / "local",
            RUN,
            "one",
            reports.append,
            tmp_path / "live",
        )
    assert tree(tmp_path / "local" / str(RUN)) == tree(capsule)
    assert next(state.bytes_done for state in reports if state.bytes_total) == 400_011
    assert tree(tmp_path / "live") == {"events.jsonl": events[:400_000]}, (
        "kept for the views of a console that restarts"
    )


async def test_of_two_pulls_into_one_folder_one_waits(host: Host, capsule: Path, tmp_path: Path) -> None:
    runs_dir = tmp_path / "local"
    staging = runs_dir / ".incoming" / str(RUN) / Path(*STAGING)
    staging.mkdir(parents=True)
    other = take_lock(staging.parent / "lock", wait=False)
    assert other is not None
    with pytest.raises(RetryLater, match="another sync writes"):
        await pull_it(host, capsule, runs_dir)
    os.close(other)
    await pull_it(host, capsule, runs_dir)
    assert tree(runs_dir / str(RUN)) == tree(capsule)


async def test_a_file_that_vanished_is_damage(host: Host, capsule: Path, tmp_path: Path) -> None:
    (capsule / "big.bin").unlink()
    with pytest.raises(Damaged):
        await pull_it(host, capsule, tmp_path / "local")
    assert not (tmp_path / "local" / str(RUN)).exists()


async def test_a_manifest_that_points_outside_writes_nothing_outside(host: Host, capsule: Path, tmp_path: Path) -> None:
    text = (capsule / "manifest.json").read_text().replace("big.bin", "../../../stolen")
    (capsule / "manifest.json").write_text(text)
    with pytest.raises(Damaged):
        await pull_it(host, capsule, tmp_path / "local")
    assert not list(tmp_path.rglob("stolen"))


@pytest.mark.parametrize("key", ["two", "../../stolen"])
async def test_a_capsule_of_another_launch_is_not_pulled(host: Host, capsule: Path, tmp_path: Path, key: str) -> None:
    seal(capsule, key)
    with pytest.raises(RetryLater, match="launched again"):
        await pull_it(host, capsule, tmp_path / "local")
    assert not (tmp_path / "local" / str(RUN)).exists()


async def test_a_broken_link_is_not_damage(host: Host, capsule: Path, tmp_path: Path) -> None:
    async with host.open_connection() as (connection, _):

        def cut(_report: SyncState) -> None:
            connection.channels.abort()

        with pytest.raises((LinkDown, Damaged)) as caught:
            await pull(connection, PurePosixPath(capsule), tmp_path / "local", RUN, "one", cut)
    assert isinstance(caught.value, LinkDown), caught.value
    assert not (tmp_path / "local" / str(RUN)).exists()
    assert isinstance(caught.value.__cause__, asyncssh.Error)


def sealed(folder: Path, files: dict[str, bytes], key: str = "one") -> Path:
    write(folder, files)
    seal(folder, key)
    return folder


async def test_many_files_are_pulled_over_a_link_that_breaks_again_and_again(
    host: Host, sshd: Sshd, tmp_path: Path
) -> None:
    draw = random.Random(4)
    small = {f"part{number % 7}/{number}": draw.randbytes(2000) for number in range(300)}
    capsule = sealed(tmp_path / "remote" / str(RUN), small | {"big.bin": draw.randbytes(3_000_000)})
    broke, runs_dir = 0, tmp_path / "local"
    async with proxy_to(sshd.port) as proxy:
        proxy.cut_after(draw.randrange(100_000, 2_000_000) for _ in range(2))
        config = sshd.host(host.workspace, proxy.port)
        access = sshd.access(tmp_path / "operator", timeouts=QUICK, port=proxy.port)
        async with asyncio.timeout(60):
            for _ in itertools.count():
                try:
                    async with open_connection(config, tmp_path, access) as connection:
                        await pull(connection, PurePosixPath(capsule), runs_dir, RUN, "one", lambda _: None)
                        break
                except LinkDown:
                    broke += 1
                    assert not (runs_dir / str(RUN)).exists()
    assert broke and tree(runs_dir / str(RUN)) == tree(capsule)
    assert not (runs_dir / str(RUN) / ".qllm-sync").exists()


async def test_what_an_older_pull_left_is_not_mixed_in(connection: HostConnection, tmp_path: Path) -> None:
    capsule = sealed(tmp_path / "remote" / str(RUN), {"a": b"new", "sub/b": b"new"})
    runs_dir = tmp_path / "local"
    write(runs_dir / ".incoming" / str(RUN), {"a": b"old", "stray": b"old", "sub/stray": b"old"})
    await pull(connection, PurePosixPath(capsule), runs_dir, RUN, "one", lambda _: None)
    assert tree(runs_dir / str(RUN)) == tree(capsule)


@pytest.mark.parametrize("name", ["../../stolen", "/stolen", "-rf", "a\\b", ".qllm-sync/x", "Case"])
async def test_a_manifest_with_a_hostile_name_pulls_nothing(
    connection: HostConnection, tmp_path: Path, name: str
) -> None:
    capsule = sealed(tmp_path / "remote" / str(RUN), {"case": b"x", "placeholder": b"x"})
    text = (capsule / "manifest.json").read_text().replace("placeholder", name.replace("\\", "\\\\"))
    (capsule / "manifest.json").write_text(text)
    with pytest.raises(Damaged):
        await pull(connection, PurePosixPath(capsule), tmp_path / "local", RUN, "one", lambda _: None)
    assert not (tmp_path / "local" / str(RUN)).exists() and not list(tmp_path.rglob("stolen"))


async def test_a_file_swapped_for_a_symlink_on_the_host_is_damage(connection: HostConnection, tmp_path: Path) -> None:
    capsule = sealed(tmp_path / "remote" / str(RUN), {"a": b"x"})
    write(tmp_path, {"same": b"x"})
    (capsule / "a").unlink()
    (capsule / "a").symlink_to(tmp_path / "same")
    with pytest.raises(Damaged, match="a is not what its manifest says"):
        await pull(connection, PurePosixPath(capsule), tmp_path / "local", RUN, "one", lambda _: None)


async def test_a_full_local_disk_is_not_damage_and_the_pull_continues_later(
    connection: HostConnection, tmp_path: Path, small_disk: Path
) -> None:
    capsule = sealed(tmp_path / "remote" / str(RUN), {"a": os.urandom(2_000_000), "b": b"x"})
    filler = fill(small_disk, 500_000)
    with pytest.raises(RetryLater, match=str(small_disk)):
        await pull(connection, PurePosixPath(capsule), small_disk, RUN, "one", lambda _: None)
    assert local_manifest(small_disk, RUN) is None
    filler.unlink()
    reports: list[SyncState] = []
    await pull(connection, PurePosixPath(capsule), small_disk, RUN, "one", reports.append)
    assert tree(small_disk / str(RUN)) == tree(capsule) and reports[-1].bytes_done == 2_000_001
