"""Errors of a sync; the previous files at both ends are intact after each of them."""

from __future__ import annotations

from console.hosts.agent.disk import DiskFull, disk_full_text


class SyncFailed(Exception):
    """The sync was refused or interrupted; a second attempt continues from what arrived."""


class RetryLater(SyncFailed):
    """The cause may pass, such as a full disk or another sync: the same sync may succeed later."""


class Stalled(RetryLater):
    """The transfer process on the host sent no heartbeat for too long; a new process continues from what arrived."""


class NoRoom(RetryLater):
    """A disk of ``owner`` is full: of the host or of this machine."""

    def __init__(self, full: DiskFull, owner: str = "this machine") -> None:
        super().__init__(f"{disk_full_text(full.disk, full.missing, owner)}; free some space and sync again")


class TooManyDeletions(SyncFailed):
    """More files would be deleted than the cap allows; nothing was changed."""
