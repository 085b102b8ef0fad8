"""Disk space: checked before files are written, and named with the missing bytes when a disk is full."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
MIN_FREE = 64 << 20  # bytes; below this a job would end at once, or as soon as it saves something
MIN_FREE_SHARE = 64  # of a disk smaller than 4 GiB, a 64th of it


class DiskFull(Exception):
    """A disk is full. Files that existed before are unchanged.

    Args:
        disk: its mount point.
        missing: bytes that are missing; None if only the number of files is at its limit.
    """

    def __init__(self, disk: str, missing: int | None) -> None:
        self.disk = disk
        self.missing = missing
        super().__init__(disk_full_text(disk, missing))


def disk_full_text(disk: str, missing: int | None, owner: str = "") -> str:
    """One line for the operator; ``owner`` says whose disk it is."""
    lack = "it has no room for more files" if missing is None else f"{missing:,} bytes are missing"
    return f"the disk {f'of {owner} ' if owner else ''}at {disk} is full: {lack}"


def check_free_space(folder: int, path: str, sizes: Iterable[int]) -> None:
    """Check that files of ``sizes`` bytes fit on the disk of ``folder``, a descriptor of ``path``.

    Raises:
        DiskFull: they do not.
    """
    disk = os.fstatvfs(folder)
    block = disk.f_frsize or 4096
    # whole blocks: many small files take far more than their bytes
    needed = [-(-size // block) * block for size in sizes]
    missing = sum(needed) - disk.f_bavail * block
    if missing > 0:
        raise DiskFull(mount_point(path), missing)
    if disk.f_files and len(needed) > disk.f_favail:
        raise DiskFull(mount_point(path), None)


def disk_full_error(error: OSError, path: str, needed: int) -> DiskFull | None:
    """``error`` as DiskFull, where ``needed`` bytes were still to be written to the disk of ``path``; None if it is another."""
    if error.errno not in FULL_ERRNOS:
        return None
    try:
        disk = os.statvfs(path)
        free, no_files = disk.f_bavail * disk.f_frsize, bool(disk.f_files) and not disk.f_favail
    except OSError:
        free, no_files = 0, False
    return DiskFull(mount_point(path), None if no_files else max(needed - free, 1))


class Space(NamedTuple):
    """Bytes of a disk: those that can still be written, 0 if no more files can be made there, and all."""

    free: int
    total: int

    @property
    def is_full(self) -> bool:
        """Whether too little is free for a job to start."""
        return self.free < min(MIN_FREE, self.total // MIN_FREE_SHARE)


def disk_space(path: str | Path) -> Space:
    """Space on the disk that holds ``path``, which need not exist."""
    folder = Path(path).absolute()
    disk = os.statvfs(next(parent for parent in (folder, *folder.parents) if parent.exists()))
    no_files = bool(disk.f_files) and not disk.f_favail
    return Space(0 if no_files else disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)


def mount_point(path: str) -> str:
    """Mount point of the disk that holds ``path``, which need not exist."""
    folder = Path(path).absolute()
    return str(next((parent for parent in (folder, *folder.parents) if parent.is_mount()), "/"))


def sync_disk(folder: int) -> None:
    """Flush the disk of ``folder``, a descriptor: one call, where fsync would need one for each file.

    Raises:
        OSError: the disk could not write it.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:  # not Linux
        os.sync()
    elif syncfs(folder) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
