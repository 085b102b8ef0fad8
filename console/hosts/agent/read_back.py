"""Hashes a big file behind its writer, from what the file system gives back, and sends it to the disk meanwhile."""

from __future__ import annotations

import hashlib
import os
import threading

BLOCK = 1 << 20
FLUSH = 64 << 20


class ReadBack(threading.Thread):
    """Follows the writer of ``handle``.

    One pass thus proves both what came and what is kept, and waiting for the disk at the end is short.

    Args:
        handle: open for reading and writing; stays the caller's, and open until ``hexdigest`` or ``stop``.
        digest: of the bytes before ``at``.
    """

    def __init__(self, handle: int, digest: hashlib._Hash, at: int) -> None:
        super().__init__(daemon=True)
        self._handle = handle
        self._digest = digest
        self._at = at
        self._written = at
        self._told = at
        self._ended = False
        self._error: OSError | None = None
        self._news = threading.Condition()
        self.start()

    def update(self, piece: bytes | memoryview) -> None:
        """``piece`` was written."""
        self._written += len(piece)
        if self._written - self._told >= BLOCK:
            self._tell(self._written)

    def hexdigest(self) -> str:
        """SHA-256 of all that was written, waited for.

        Raises:
            OSError: it cannot be read back, or not be written to the disk.
        """
        self._tell(self._written, ended=True)
        self.join()
        if self._error is not None:
            raise self._error
        return self._digest.hexdigest()

    def stop(self) -> None:
        """Give up; returns when the handle is no longer used."""
        self._tell(0, ended=True)
        self.join()

    def run(self) -> None:
        try:
            flushed = self._at
            while self._wait():
                while self._at < self._told and (
                    block := os.pread(self._handle, min(BLOCK, self._told - self._at), self._at)
                ):
                    self._digest.update(block)
                    self._at += len(block)
                if self._at - flushed >= FLUSH:
                    os.fsync(self._handle)
                    flushed = self._at
        except OSError as error:
            self._error = error

    def _tell(self, written: int, ended: bool = False) -> None:
        with self._news:
            self._told, self._ended = written, ended
            self._news.notify()

    def _wait(self) -> bool:
        """Whether there is more to read."""
        with self._news:
            while self._told <= self._at and not self._ended:
                self._news.wait()
            return self._told > self._at
