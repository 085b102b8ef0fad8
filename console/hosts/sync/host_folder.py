"""A folder of the host, as the host counted it."""

from __future__ import annotations

from msgspec import Struct

from console.hosts.agent.census import Census, Entry


class HostFolder(Struct, frozen=True):
    """What the host said of a folder; ``staged`` is what a broken sync left on its way: name -> (bytes, SHA-256)."""

    files: list[Entry]
    refused: list[tuple[str, str]]
    staged: dict[str, tuple[int, str]]
    exists: bool

    @property
    def census(self) -> Census:
        return Census(self.files, self.refused)
