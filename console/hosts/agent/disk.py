"""Space on a disk: how much is missing, said before it is missed where that can be known."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


class DiskFull(Exception):
    """A disk has no room. What stood there before still does.

    Args:
        disk: where it is mounted.
        missing: bytes that are missing; None where only the number of files is at its limit.
    """

    def __init__(self, disk: str, missing: int | None) -> None:
        self.disk = disk
        self.missing = missing
        lack = "it has no room for more files" if missing is None else f"{missing:,} bytes are missing"
        super().__init__(f"the disk at {disk} is full: {lack}")


def check_room(folder: int, path: str, sizes: Iterable[int]) -> None:
    """See that files of ``sizes`` bytes find room on the disk of ``folder``, a descriptor of ``path``.

    Raises:
        DiskFull: they do not.
    """
    disk = os.fstatvfs(folder)
    block = disk.f_frsize or 4096
    wanted = [-(-size // block) * block for size in sizes]
    missing = sum(wanted) - disk.f_bavail * block
    if missing > 0:
        raise DiskFull(mounted_at(path), missing)
    if disk.f_files and len(wanted) > disk.f_favail:
        raise DiskFull(mounted_at(path), None)


def as_full(error: OSError, path: str, left: int) -> DiskFull | None:
    """What ``error`` says about the disk of ``path``, where ``left`` bytes were still to come; None if it is of another kind."""
    if error.errno not in FULL:
        return None
    try:
        disk = os.statvfs(path)
        free, no_files = disk.f_bavail * disk.f_frsize, bool(disk.f_files) and not disk.f_favail
    except OSError:
        free, no_files = 0, False
    return DiskFull(mounted_at(path), None if no_files else max(left - free, 1))


def mounted_at(path: str) -> str:
    """The mount point that holds ``path``, or the nearest folder above it that exists."""
    place = Path(path).absolute()
    while not place.is_mount() and place != place.parent:
        place = place.parent
    return str(place)


def sync_disk(folder: int) -> None:
    """Wait until everything written to the disk of ``folder`` is on it: one call for any number of files.

    Raises:
        OSError: the disk could not write it.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:  # not Linux
        os.sync()
    elif syncfs(folder) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
