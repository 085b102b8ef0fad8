"""Folders to sync, with a real host at the other end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.hosts.connection import Reached, reach
from console.hosts.sync.request import SyncRequest
from tests.console.hosts.conftest import Host


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
