"""Bringing a capsule home over real SSH: whole and verified, or nothing."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import asyncssh
import pytest

from console.hosts.agent.workspace import seal
from console.hosts.pull.capsule import Damaged, pull
from console.hosts.pull.verify import local_manifest
from console.hosts.ssh.errors import LinkDown
from console.hosts.transfer.errors import NotNow
from console.runs.snapshot import SyncState
from engine.contract.file_lock import take_lock
from engine.contract.settings import RunId
from tests.console.hosts.conftest import Host

RUN = RunId("A", 42)


@pytest.fixture
def capsule(tmp_path: Path) -> Path:
    folder = tmp_path / "remote" / str(RUN)
    (folder / "sub").mkdir(parents=True)
    (folder / "big.bin").write_bytes(os.urandom(1_000_000))
    (folder / "sub" / "empty").write_bytes(b"")
    seal(folder, "one")
    return folder


async def bring(
    host: Host, capsule: Path, runs_dir: Path, reports: list[SyncState] | None = None, *, again: bool = False
) -> None:
    async with host.open_connection() as (connection, _):
        report = (reports if reports is not None else []).append
        await pull(connection, PurePosixPath(capsule), runs_dir, RUN, report, again=again)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_capsule_comes_home_byte_for_byte(host: Host, capsule: Path, tmp_path: Path) -> None:
    reports: list[SyncState] = []
    await bring(host, capsule, tmp_path / "home", reports)
    assert tree(tmp_path / "home" / str(RUN)) == tree(capsule)
    manifest = local_manifest(tmp_path / "home", RUN)
    assert manifest is not None and manifest.key == "one"
    assert reports[-1] == SyncState("pulling", 2, 2, 1_000_000, 1_000_000, left=0.0)


async def test_a_newer_capsule_sets_the_older_aside(host: Host, capsule: Path, tmp_path: Path) -> None:
    runs_dir = tmp_path / "home"
    await bring(host, capsule, runs_dir)
    older = tree(capsule)
    (capsule / "big.bin").write_bytes(b"new")
    seal(capsule, "two")
    await bring(host, capsule, runs_dir)
    assert tree(runs_dir / str(RUN)) == tree(capsule)
    assert tree(runs_dir / ".previous" / f"{RUN}-one") == older


async def test_the_very_capsule_that_is_at_home_comes_again_only_if_that_is_asked_for(
    host: Host, capsule: Path, tmp_path: Path
) -> None:
    runs_dir = tmp_path / "home"
    await bring(host, capsule, runs_dir)
    (runs_dir / str(RUN) / "big.bin").write_bytes(b"spoiled")
    await bring(host, capsule, runs_dir)
    assert (runs_dir / str(RUN) / "big.bin").read_bytes() == b"spoiled" and not (runs_dir / ".previous").exists()
    await bring(host, capsule, runs_dir, again=True)
    assert tree(runs_dir / str(RUN)) == tree(capsule)
    assert (runs_dir / ".previous" / f"{RUN}-one" / "big.bin").read_bytes() == b"spoiled"


async def test_of_two_pulls_of_one_run_one_waits(host: Host, capsule: Path, tmp_path: Path) -> None:
    runs_dir = tmp_path / "home"
    (runs_dir / ".incoming").mkdir(parents=True)
    other = take_lock(runs_dir / ".incoming" / f"{RUN}.lock", wait=False)
    assert other is not None
    with pytest.raises(NotNow, match="another console"):
        await bring(host, capsule, runs_dir)
    assert not (runs_dir / str(RUN)).exists()
    os.close(other)
    await bring(host, capsule, runs_dir)
    assert tree(runs_dir / str(RUN)) == tree(capsule)


@pytest.mark.parametrize("damage", [b"", b"x" * 1_000_000, b"x" * 2_000_000], ids=["cut", "changed", "grown"])
async def test_a_file_that_is_not_what_the_manifest_says_changes_nothing_at_home(
    host: Host, capsule: Path, tmp_path: Path, damage: bytes
) -> None:
    runs_dir = tmp_path / "home"
    await bring(host, capsule, runs_dir)
    before = tree(runs_dir / str(RUN))
    seal(capsule, "two")
    (capsule / "big.bin").write_bytes(damage)
    with pytest.raises(Damaged, match=r"big\.bin is not what its manifest says"):
        await bring(host, capsule, runs_dir)
    assert tree(runs_dir / str(RUN)) == before


async def test_a_file_that_vanished_is_damage(host: Host, capsule: Path, tmp_path: Path) -> None:
    (capsule / "big.bin").unlink()
    with pytest.raises(Damaged):
        await bring(host, capsule, tmp_path / "home")
    assert not (tmp_path / "home" / str(RUN)).exists()


async def test_a_manifest_that_points_outside_writes_nothing_outside(host: Host, capsule: Path, tmp_path: Path) -> None:
    text = (capsule / "manifest.json").read_text().replace("big.bin", "../../../stolen")
    (capsule / "manifest.json").write_text(text)
    with pytest.raises(Damaged):
        await bring(host, capsule, tmp_path / "home")
    assert not list(tmp_path.rglob("stolen"))


async def test_a_broken_link_is_not_damage(host: Host, capsule: Path, tmp_path: Path) -> None:
    async with host.open_connection() as (connection, _):

        def cut(_report: SyncState) -> None:
            connection.channels.abort()

        with pytest.raises((LinkDown, Damaged)) as caught:
            await pull(connection, PurePosixPath(capsule), tmp_path / "home", RUN, cut)
    assert isinstance(caught.value, LinkDown), caught.value
    assert not (tmp_path / "home" / str(RUN)).exists()
    assert isinstance(caught.value.__cause__, asyncssh.Error)
