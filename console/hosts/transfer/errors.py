"""Why a sync did not come about. What stood at either end still stands there."""

from __future__ import annotations

from console.hosts.agent.disk import disk_full_text


class SyncFailed(Exception):
    """The sync was refused or broke off; asked for again, it goes on from what arrived."""


class NotNow(SyncFailed):
    """Nothing is wrong with the files: asked for again later, the sync may well come about."""


class NoRoom(NotNow):
    """A disk is full.

    Args:
        end: whose disk: ``the host`` or ``this machine``.
        disk: where it is mounted.
        missing: bytes that are missing; None where only the number of files is at its limit.
    """

    def __init__(self, end: str, disk: str, missing: int | None) -> None:
        self.end = end
        self.disk = disk
        self.missing = missing
        super().__init__(f"{disk_full_text(disk, missing, end)}; asked for again, the sync goes on from here")


class TooManyDeletions(SyncFailed):
    """More files would be deleted than the cap allows; nothing was changed."""
