"""A capsule of many files, or of a big one, over a link that breaks."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from pathlib import Path, PurePosixPath

import pytest

from console.hosts.agent.workspace import seal
from console.hosts.pull.capsule import Damaged, pull
from console.hosts.pull.verify import local_manifest
from console.hosts.ssh.access import Timeouts
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.connection import open_connection
from console.hosts.ssh.errors import LinkDown
from console.hosts.transfer.errors import NotNow
from console.runs.snapshot import SyncState
from engine.contract.settings import RunId
from tests.console.hosts.conftest import Host
from tests.console.hosts.folder_pair import tree, write
from tests.console.hosts.proxy import proxy_to
from tests.console.hosts.small_disk import fill
from tests.console.hosts.sshd import Sshd

RUN = RunId("A", 42)
QUICK = Timeouts(keepalive=0.4, misses=20)


def sealed(folder: Path, files: dict[str, bytes], key: str = "one") -> Path:
    write(folder, files)
    seal(folder, key)
    return folder


async def test_many_files_come_home_over_a_link_that_breaks_again_and_again(
    host: Host, sshd: Sshd, tmp_path: Path
) -> None:
    draw = random.Random(4)
    small = {f"part{number % 7}/{number}": draw.randbytes(2000) for number in range(300)}
    capsule = sealed(tmp_path / "remote" / str(RUN), small | {"big.bin": draw.randbytes(3_000_000)})
    broke, runs_dir = 0, tmp_path / "home"
    async with proxy_to(sshd.port) as proxy:
        proxy.cut_after(draw.randrange(100_000, 2_000_000) for _ in range(2))
        config = sshd.host(host.workspace, proxy.port)
        access = sshd.access(tmp_path / "operator", timeouts=QUICK, port=proxy.port)
        async with asyncio.timeout(60):
            for _ in itertools.count():
                try:
                    async with open_connection(config, tmp_path, access) as connection:
                        await pull(connection, PurePosixPath(capsule), runs_dir, RUN, lambda _: None)
                        break
                except LinkDown:
                    broke += 1
                    assert not (runs_dir / str(RUN)).exists()
    assert broke and tree(runs_dir / str(RUN)) == tree(capsule)
    assert not (runs_dir / str(RUN) / ".qllm-sync").exists()


async def test_what_an_older_pull_left_is_not_mixed_in(connection: HostConnection, tmp_path: Path) -> None:
    capsule = sealed(tmp_path / "remote" / str(RUN), {"a": b"new", "sub/b": b"new"})
    runs_dir = tmp_path / "home"
    write(runs_dir / ".incoming" / str(RUN), {"a": b"old", "stray": b"old", "sub/stray": b"old"})
    await pull(connection, PurePosixPath(capsule), runs_dir, RUN, lambda _: None)
    assert tree(runs_dir / str(RUN)) == tree(capsule)


@pytest.mark.parametrize("name", ["../../stolen", "/stolen", "-rf", "a\\b", ".qllm-sync/x", "Case"])
async def test_a_manifest_with_a_hostile_name_brings_nothing(
    connection: HostConnection, tmp_path: Path, name: str
) -> None:
    capsule = sealed(tmp_path / "remote" / str(RUN), {"case": b"x", "placeholder": b"x"})
    text = (capsule / "manifest.json").read_text().replace("placeholder", name.replace("\\", "\\\\"))
    (capsule / "manifest.json").write_text(text)
    with pytest.raises(Damaged):
        await pull(connection, PurePosixPath(capsule), tmp_path / "home", RUN, lambda _: None)
    assert not (tmp_path / "home" / str(RUN)).exists() and not list(tmp_path.rglob("stolen"))


async def test_a_file_swapped_for_a_symlink_on_the_host_is_damage(connection: HostConnection, tmp_path: Path) -> None:
    capsule = sealed(tmp_path / "remote" / str(RUN), {"a": b"x"})
    write(tmp_path, {"same": b"x"})
    (capsule / "a").unlink()
    (capsule / "a").symlink_to(tmp_path / "same")
    with pytest.raises(Damaged, match="a is not what its manifest says"):
        await pull(connection, PurePosixPath(capsule), tmp_path / "home", RUN, lambda _: None)


async def test_a_full_disk_at_home_is_not_damage_and_the_pull_goes_on_later(
    connection: HostConnection, tmp_path: Path, small_disk: Path
) -> None:
    capsule = sealed(tmp_path / "remote" / str(RUN), {"a": os.urandom(2_000_000), "b": b"x"})
    filler = fill(small_disk, 500_000)
    with pytest.raises(NotNow, match=str(small_disk)):
        await pull(connection, PurePosixPath(capsule), small_disk, RUN, lambda _: None)
    assert local_manifest(small_disk, RUN) is None
    filler.unlink()
    reports: list[SyncState] = []
    await pull(connection, PurePosixPath(capsule), small_disk, RUN, reports.append)
    assert tree(small_disk / str(RUN)) == tree(capsule) and reports[-1].bytes_done == 2_000_001
