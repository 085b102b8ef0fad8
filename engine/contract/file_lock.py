"""Locks between processes (``flock``): the kernel frees one when its holder dies, however it dies.

Standard library and Python 3.8 only: this module is also shipped to the host, inside the agent.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path


def take_lock(path: str | Path, wait: bool, dir_fd: int | None = None) -> int | None:
    """Lock the file ``path``, made if missing, exclusively; None if another process holds it and ``wait`` is False.

    The lock lasts as long as the returned descriptor, or a copy that a child process inherited, is open.

    Raises:
        OSError: the file cannot be made or opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not block
    return _take(path, flags, wait, dir_fd)


def take_folder_lock(folder: str | Path, wait: bool) -> int | None:
    """Lock the folder at ``folder`` itself, as ``take_lock`` does with a file. A network file system may keep it local.

    Raises:
        OSError: there is no such folder.
    """
    return _take(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, wait, None)


def _take(path: str | Path, flags: int, wait: bool, dir_fd: int | None) -> int | None:
    while True:
        handle = os.open(path, flags, 0o600, dir_fd=dir_fd)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(handle, path, dir_fd):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_at(handle: int, path: str | Path, dir_fd: int | None) -> bool:
    """Whether the locked file is still the one at ``path``: the next process would lock another one otherwise."""
    try:
        there = os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    mine = os.fstat(handle)
    return (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev)


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that check at once do not see each other
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[int | None]:
    """Hold the lock on ``path`` within the block, which gets what ``take_lock`` returns."""
    handle = take_lock(path, wait)
    try:
        yield handle
    finally:
        if handle is not None:
            os.close(handle)


class FileLock:
    """A lock whose file carries a note of its holder, which waiting processes can show as progress.

    Args:
        path: the lock file; its folder is made if missing.
        poll_seconds: how often a waiting process tries again.
    """

    def __init__(self, path: Path, poll_seconds: float = 0.2) -> None:
        self.path = path
        self.poll_seconds = poll_seconds
        self._handle: int | None = None

    def waiting(self) -> Generator[str, None, None]:
        """Acquire the lock; while another process holds it, yield the holder's note once per try."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while (handle := take_lock(self.path, wait=False)) is None:
            yield self.path.read_bytes()[:200].decode("utf-8", "replace").strip()
            time.sleep(self.poll_seconds)
        os.ftruncate(handle, 0)
        self._handle = handle

    def note(self, text: str) -> None:
        """Set the note that waiting processes see; no effect unless the lock is held."""
        if self._handle is not None:
            os.pwrite(self._handle, text.encode()[:199].ljust(200), 0)

    def __enter__(self) -> FileLock:
        if self._handle is None:
            for _ in self.waiting():
                pass
        return self

    def __exit__(self, *_: object) -> None:
        assert self._handle is not None
        os.close(self._handle)
        self._handle = None
