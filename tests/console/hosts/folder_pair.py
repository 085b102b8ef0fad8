"""Folders to sync, with a real host at the other end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from console.hosts.transfer.request import SyncRequest

if TYPE_CHECKING:
    from tests.console.hosts.conftest import Host


def tree(folder: Path) -> dict[str, bytes]:
    """Content by path of every file in ``folder``, without those of the sync itself."""
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
    """A local folder and a folder on the host."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.local = folder / "local"
        self.remote = host.workspace / "project"
        self.records = folder / "records"
        self.local.mkdir()

    def request(self, **settings: object) -> SyncRequest:
        fixed = {"local": self.local, "remote": "project", "records": self.records, "host": "ramp"}
        return SyncRequest(**(fixed | settings))  # type: ignore[arg-type]
