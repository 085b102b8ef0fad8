"""A log whose file a test writes, and the texts of one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from console.runs.log_store import LogStore


class FedLog(LogStore):
    """A log with a file of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        super().__init__(Path(self._folder.name) / "log.txt")

    def feed(self, content: bytes) -> None:
        """Append to the file."""
        assert self.path is not None
        with self.path.open("ab") as file:
            file.write(content)

    def clear(self) -> None:
        """Begin the log of another launch."""
        assert self.path is not None
        self.path.write_bytes(b"")
        self.open(self.path)


def texts(log: LogStore) -> list[str]:
    """All lines that the file has now."""
    log.catch_up()
    return [line.text for line in log.lines()]
