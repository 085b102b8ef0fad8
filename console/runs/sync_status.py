"""What is at home of all runs together: in full sync or not, with numbers. A function of the snapshot."""

from __future__ import annotations

from msgspec import Struct

from console.runs.run_view import RunView
from console.runs.snapshot import Snapshot, SyncState
from engine.contract.run_folder import SEALED
from engine.contract.settings import RunId


class SyncStatus(Struct, frozen=True):
    """The runs, by how far they are home.

    Attributes:
        due: runs that have ended and left a sealed capsule, or whose capsule is at home.
        runs_dir: those of them that are at home, every file as its manifest says: ``files`` of ``bytes`` in all.
        growing: runs whose beginnings are at home while they go on, ``growing_bytes`` in all; ``as_of`` is
            ``time.monotonic()`` of when the host was last asked for the one that waits longest, 0.0 if it never was.
        unsealed: lost runs: nothing proves what is here of them, ``unsealed_bytes``.
        coming: the run that is being pulled.
        waiting: due, and neither at home nor on the way.
        damaged: due, and not what their manifests say.
        heard: the host has said how its runs are.
    """

    due: tuple[RunId, ...] = ()
    synced: tuple[RunId, ...] = ()
    files: int = 0
    bytes: int = 0
    growing: tuple[RunId, ...] = ()
    growing_bytes: int = 0
    as_of: float = 0.0
    unsealed: tuple[RunId, ...] = ()
    unsealed_bytes: int = 0
    coming: RunId | None = None
    waiting: tuple[RunId, ...] = ()
    damaged: tuple[RunId, ...] = ()
    heard: bool = False

    @property
    def to_come(self) -> tuple[RunId, ...]:
        """Due, not at home, and on the way or about to be."""
        return (*((self.coming,) if self.coming else ()), *self.waiting)

    @property
    def full(self) -> bool:
        """Full sync: every run that is due is at home, by the word of the host."""
        return self.heard and self.synced == self.due


def sync_status(snapshot: Snapshot) -> SyncStatus:
    """The verdict over all runs of ``snapshot``."""
    known = [(run, view, snapshot.sync_states[run]) for run, view in snapshot.runs.items()]
    due = [(run, synced) for run, view, synced in known if _due(view, synced)]
    synced = [(run, one) for run, one in due if one.status == "synced"]
    growing = [
        (run, synced) for run, view, synced in known if synced.status == "syncing" and view.state_name == "running"
    ]
    unsealed = [(run, synced) for run, view, synced in known if view.state_name == "lost" and not _due(view, synced)]
    return SyncStatus(
        due=tuple(run for run, _ in due),
        synced=tuple(run for run, _ in synced),
        files=sum(one.files_total for _, one in synced),
        bytes=sum(one.bytes_total for _, one in synced),
        growing=tuple(run for run, _ in growing),
        growing_bytes=sum(one.bytes_done for _, one in growing),
        as_of=min((one.as_of for _, one in growing), default=0.0),
        unsealed=tuple(run for run, _ in unsealed),
        unsealed_bytes=sum(one.bytes_done for _, one in unsealed),
        coming=next((run for run, one in due if one.status == "pulling"), None),
        waiting=tuple(run for run, one in due if one.status in ("not synced", "syncing")),
        damaged=tuple(run for run, one in due if one.status == "damaged"),
        heard=snapshot.host.heard > 0,
    )


def _due(view: RunView, synced: SyncState) -> bool:
    return view.state_name in SEALED or synced.status in ("synced", "pulling", "damaged")
