"""Errors of a sync; the previous files at both ends are intact after each of them."""

from __future__ import annotations

from console.hosts.agent.disk import DiskFull, disk_full_text


class SyncFailed(Exception):
    """The sync was refused or interrupted; a second attempt continues from what arrived."""


class RetryLater(SyncFailed):
    """The cause may pass, such as a full disk or another sync: the same sync may succeed later."""


class NoRoom(RetryLater):
    """A disk is full.

    Args:
        end: whose disk: ``the host`` or ``this machine``.
        disk: its mount point.
        missing: bytes that are missing; None if the number of files is at its limit instead.
    """

    def __init__(self, end: str, disk: str, missing: int | None) -> None:
        super().__init__(f"{disk_full_text(disk, missing, end)}; free some space and sync again")

    @classmethod
    def local(cls, full: DiskFull) -> NoRoom:
        """A disk of this machine is full."""
        return cls("this machine", full.disk, full.missing)


class TooManyDeletions(SyncFailed):
    """More files would be deleted than the cap allows; nothing was changed."""
