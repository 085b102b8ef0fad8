"""Folders to sync, with a real host at the other end, and a real disk that is too small."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from console.hosts.connection import Reached, reach
from console.hosts.sync.request import SyncRequest
from tests.console.hosts.conftest import Host

SMALL = 4 << 20


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of ``folder`` but a sync's own, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and ".qllm-sync" not in path.parts
    }


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


class Pair:
    """A local folder and one of the host's."""

    def __init__(self, host: Host, place: Path) -> None:
        self.host = host
        self.here = place / "here"
        self.there = host.workspace / "project"
        self.notes = place / "notes"
        self.here.mkdir()

    def request(self, **settings: object) -> SyncRequest:
        fixed = {"local": self.here, "remote": "project", "notes": self.notes, "host": "here"}
        return SyncRequest(**(fixed | settings))  # type: ignore[arg-type]


@pytest.fixture
def pair(host: Host, tmp_path: Path) -> Pair:
    return Pair(host, tmp_path)


@pytest.fixture
async def reached(host: Host) -> AsyncIterator[Reached]:
    """One link to the host."""
    async with reach(host.config, host.workspace, host.access) as there:
        yield there


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["/bin/mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(place)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["/bin/umount", "--lazy", str(place)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Fill ``disk`` but for ``leave`` bytes; returns the file that does it."""
    filler = disk / "filler"
    size = 1 << 16
    with open(filler, "wb", buffering=0) as file:
        while size:
            try:
                file.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
                size //= 2
        file.truncate(max(0, file.tell() - leave))
    return filler
