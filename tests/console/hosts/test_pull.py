"""Bringing a capsule home over real SSH: whole and verified, or nothing."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import asyncssh
import pytest

from console.hosts.agent.files import seal, take_lock
from console.hosts.connection import LinkDown
from console.hosts.home_check import manifest_at_home
from console.hosts.pull import Damaged, pull
from console.hosts.sync.failure import NotNow
from console.snapshot import Home
from engine.contract.experiment import RunId
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
    host: Host, capsule: Path, home: Path, reports: list[Home] | None = None, *, again: bool = False
) -> None:
    async with host.reach() as (reached, _):
        report = (reports if reports is not None else []).append
        await pull(reached, PurePosixPath(capsule), home, RUN, report, again=again)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_capsule_comes_home_byte_for_byte(host: Host, capsule: Path, tmp_path: Path) -> None:
    reports: list[Home] = []
    await bring(host, capsule, tmp_path / "home", reports)
    assert tree(tmp_path / "home" / str(RUN)) == tree(capsule)
    manifest = manifest_at_home(tmp_path / "home", RUN)
    assert manifest is not None and manifest.key == "one"
    assert reports[-1] == Home("pulling", 2, 2, 1_000_000, 1_000_000, left=0.0)


async def test_a_newer_capsule_sets_the_older_aside(host: Host, capsule: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    await bring(host, capsule, home)
    older = tree(capsule)
    (capsule / "big.bin").write_bytes(b"new")
    seal(capsule, "two")
    await bring(host, capsule, home)
    assert tree(home / str(RUN)) == tree(capsule)
    assert tree(home / ".previous" / f"{RUN}-one") == older


async def test_the_very_capsule_that_is_at_home_comes_again_only_if_that_is_asked_for(
    host: Host, capsule: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    await bring(host, capsule, home)
    (home / str(RUN) / "big.bin").write_bytes(b"spoiled")
    await bring(host, capsule, home)
    assert (home / str(RUN) / "big.bin").read_bytes() == b"spoiled" and not (home / ".previous").exists()
    await bring(host, capsule, home, again=True)
    assert tree(home / str(RUN)) == tree(capsule)
    assert (home / ".previous" / f"{RUN}-one" / "big.bin").read_bytes() == b"spoiled"


async def test_of_two_pulls_of_one_run_one_waits(host: Host, capsule: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".incoming").mkdir(parents=True)
    other = take_lock(home / ".incoming" / f"{RUN}.lock", wait=False)
    assert other is not None
    with pytest.raises(NotNow, match="another console"):
        await bring(host, capsule, home)
    assert not (home / str(RUN)).exists()
    os.close(other)
    await bring(host, capsule, home)
    assert tree(home / str(RUN)) == tree(capsule)


@pytest.mark.parametrize("damage", [b"", b"x" * 1_000_000, b"x" * 2_000_000], ids=["cut", "changed", "grown"])
async def test_a_file_that_is_not_what_the_manifest_says_changes_nothing_at_home(
    host: Host, capsule: Path, tmp_path: Path, damage: bytes
) -> None:
    home = tmp_path / "home"
    await bring(host, capsule, home)
    before = tree(home / str(RUN))
    seal(capsule, "two")
    (capsule / "big.bin").write_bytes(damage)
    with pytest.raises(Damaged, match=r"big\.bin is not what its manifest says"):
        await bring(host, capsule, home)
    assert tree(home / str(RUN)) == before


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
    async with host.reach() as (reached, _):

        def cut(_report: Home) -> None:
            reached.connection.abort()

        with pytest.raises((LinkDown, Damaged)) as caught:
            await pull(reached, PurePosixPath(capsule), tmp_path / "home", RUN, cut)
    assert isinstance(caught.value, LinkDown), caught.value
    assert not (tmp_path / "home" / str(RUN)).exists()
    assert isinstance(caught.value.__cause__, asyncssh.Error)
