"""The local folder of one launch's beginnings, held by whoever reads, writes or moves them: consoles may share a home."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

AGAIN_S = 0.05


class HeldPlace:
    """Holds ``place`` until it is released, against every other look and pull, of whatever console. Blocks.

    Args:
        patience: seconds to wait for who has it.

    Raises:
        BlockingIOError: another has it still.
        FileNotFoundError: there is no such folder, or not any more.
    """

    def __init__(self, place: Path, patience: float = 0.0) -> None:
        self._handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._lock(time.monotonic() + patience)
            if not os.path.samestat(os.fstat(self._handle), place.stat()):
                raise FileNotFoundError(f"{place} was replaced")
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> HeldPlace:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        os.close(self._handle)

    def _lock(self, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(AGAIN_S)
