"""Snapshot: all that the console knows at one moment, as one frozen value that the views are drawn from; its sync status."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from console.runs.host_facts import HostFacts, HostHistory
from console.runs.run_view import RunView
from engine.contract.run_folder import SEALED
from engine.contract.settings import RunId

Link = Literal["starting", "connecting", "up", "lost", "closed", "local", "replay"]
"""State of the link to the host; ``local``: no host is asked, ``replay``: nor are the runs shown as they are now."""
SyncStateName = Literal["not synced", "syncing", "pulling", "synced", "damaged"]
NOT_SEALED = "ended, not sealed"
"""Begins the note on a run that has ended, but has no manifest yet on the host: it cannot be pulled."""


class HostView(Struct, frozen=True):
    """The host and the link to it.

    Attributes:
        detail: what the link is doing, or what went wrong.
        last_reply_at: ``time.monotonic()`` of the host's last reply, from which the age of all that is shown follows; 0.0:
            never.
        runs_reported: whether the host has reported its runs in this session; nothing is launched before.
        history_known: whether all events that it had at its first report have arrived, so that further ones are new.
        fingerprint: SHA-256 of the verified host key.
        lease: the other console that may launch and abort; "" if it is this one.
        disk_free: bytes that are left on its disk, as of the last reply; None: not known.
        disk_full: these are too few for a run to start.
        price_per_hour, currency: what an hour of the host costs, as ``hosts.toml`` says; None: it does not.
        unnamed_runs: in the experiment's folder there, of conditions or seeds that the experiment does not have.
    """

    name: str
    title: str
    launcher: str
    address: str
    link: Link = "starting"
    detail: str = ""
    last_reply_at: float = 0.0
    runs_reported: bool = False
    history_known: bool = False
    fingerprint: str = ""
    lease: str = ""
    slots: int = 1
    facts: HostFacts | None = None
    disk_free: int | None = None
    disk_full: bool = False
    unnamed_runs: int = 0
    price_per_hour: float | None = None
    currency: str = ""


class SyncState(Struct, frozen=True):
    """How far a run is synced.

    Attributes:
        status: ``not synced``: nothing of the present launch is local. ``syncing``: its events and log are, up to
            ``bytes_done``. ``pulling``: its capsule is being pulled. ``synced``: its capsule is local, as its manifest says.
            ``damaged``: what was pulled differs from the manifest, or does so by now, or it cannot be
            written or pulled.
        bytes_done: of a pull, including what came in earlier attempts.
        note: why it does not proceed, what is damaged, or what the synced capsule leaves out.
        left: seconds until the capsule is pulled, at the mean pace; None where that is not known.
        as_of: ``time.monotonic()`` of when the host was last polled for what is syncing; 0.0: not by this console.
        key: the launch whose capsule is local; "" where none is.
    """

    status: SyncStateName = "not synced"
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    note: str = ""
    left: float | None = None
    as_of: float = 0.0
    key: str = ""


class Snapshot(Struct, frozen=True):
    """Everything at one moment.

    Attributes:
        folder: the experiment's folder name, local and on the host.
        runs, sync_states: of every run of the profile, in matrix order, launched or not.
        version: counts changes.
        local_writer: who else writes the local runs folder, so that this console does not; "" if this one may.
        host_history: of the host's GPUs, load and memory, as far as this console was connected.
        changed_settings: runs whose last launch had other settings than the experiment states now.
    """

    host: HostView
    folder: str
    profile: str
    runs: dict[RunId, RunView]
    sync_states: dict[RunId, SyncState]
    version: int = 0
    local_writer: str = ""
    host_history: HostHistory = HostHistory()
    changed_settings: frozenset[RunId] = frozenset()


class SyncStatus(Struct, frozen=True):
    """Sync status of all runs together: which are due, and how far these are synced.

    Attributes:
        due: runs that have ended and left a sealed capsule, or whose capsule is local.
        synced: those of them whose capsule is local: ``files`` of ``bytes`` in all.
        growing: running runs whose events and logs are synced so far, ``growing_bytes`` in all; ``as_of`` is
            ``time.monotonic()`` of the oldest poll for one of them, 0.0 if there was none.
        unsealed: lost runs, with ``unsealed_bytes`` of events and logs that no manifest covers.
        pulling: the run that is being pulled.
        waiting: due, and neither synced nor being pulled.
        damaged: due, and different from their manifests.
        host_answered: the host has reported its runs in this session.
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
    pulling: RunId | None = None
    waiting: tuple[RunId, ...] = ()
    damaged: tuple[RunId, ...] = ()
    host_answered: bool = False

    @property
    def not_synced(self) -> tuple[RunId, ...]:
        """Due, and neither synced nor damaged."""
        return (*((self.pulling,) if self.pulling else ()), *self.waiting)

    @property
    def full(self) -> bool:
        """Every due run is synced, as the host has confirmed."""
        return self.host_answered and self.synced == self.due


def sync_status(snapshot: Snapshot) -> SyncStatus:
    """Sync status of all runs of ``snapshot`` together."""
    views, states = snapshot.runs, snapshot.sync_states
    due = tuple(
        run
        for run, view in views.items()
        if view.state_name in SEALED or states[run].status in ("synced", "pulling", "damaged")
    )

    def due_and(*names: SyncStateName) -> tuple[RunId, ...]:
        return tuple(run for run in due if states[run].status in names)

    synced = due_and("synced")
    growing = tuple(run for run in views if states[run].status == "syncing" and views[run].state_name == "running")
    unsealed = tuple(run for run in views if views[run].state_name == "lost" and run not in due)
    return SyncStatus(
        due=due,
        synced=synced,
        files=sum(states[run].files_total for run in synced),
        bytes=sum(states[run].bytes_total for run in synced),
        growing=growing,
        growing_bytes=sum(states[run].bytes_done for run in growing),
        as_of=min((states[run].as_of for run in growing), default=0.0),
        unsealed=unsealed,
        unsealed_bytes=sum(states[run].bytes_done for run in unsealed),
        pulling=next(iter(due_and("pulling")), None),
        waiting=due_and("not synced", "syncing"),
        damaged=due_and("damaged"),
        host_answered=snapshot.host.runs_reported,
    )
