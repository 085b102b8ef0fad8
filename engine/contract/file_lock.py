"""A lock between processes: one does the work, the others wait and see how far it is."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Self


class FileLock:
    """An exclusive ``flock`` on ``path``; the kernel frees it when its holder dies, however it dies.

    The file itself stays: it carries the holder's last note, which those who wait may show.

    Args:
        path: the lock file; its folder is made when missing.
        poll_seconds: how often a waiting process looks again.
    """

    def __init__(self, path: Path, poll_seconds: float = 0.2) -> None:
        self.path = path
        self.poll_seconds = poll_seconds
        self._descriptor: int | None = None

    def waiting(self) -> Generator[str, None, None]:
        """Acquire the lock; while another process holds it, yield that holder's note once per look."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    yield os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip()
                    time.sleep(self.poll_seconds)
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        self._descriptor = descriptor

    def note(self, text: str) -> None:
        """Tell those who wait how far the work is."""
        if self._descriptor is not None:
            os.pwrite(self._descriptor, text.encode()[:199].ljust(200), 0)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        for _ in self.waiting() if self._descriptor is None else ():
            pass
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
