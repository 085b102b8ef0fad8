"""What the console knows at one moment, as one frozen value: the views are drawn from it and from nothing else."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from console.runs.run_view import RunView
from engine.contract.settings import RunId

Link = Literal["starting", "connecting", "up", "lost", "closed"]
RunSync = Literal["not synced", "syncing", "pulling", "synced", "damaged"]


class Gpu(Struct, frozen=True):
    """A GPU as nvidia-smi tells of it; memory in MiB, utilization in percent; None where it answered N/A."""

    name: str
    memory_total: int | None
    memory_used: int | None
    utilization: int | None
    driver: str


class HostFacts(Struct, frozen=True):
    """The host, as its agent found it. Sizes in bytes, ``load`` is the one-minute load average."""

    hostname: str
    system: str
    cpus: int
    load: float
    memory_total: int
    memory_available: int
    disk_total: int
    disk_free: int
    python: str
    workspace: str
    gpus: tuple[Gpu, ...] = ()
    gpu_note: str = ""


class HostView(Struct, frozen=True):
    """The host and the link to it.

    ``heard`` is ``time.monotonic()`` of its last answer (0.0: never), so the age of everything shown is known;
    ``detail`` says what it is doing or what went wrong; ``fingerprint`` is the SHA-256 of its verified host key;
    ``lease`` names the other console that may launch and abort, "" if it is this one.
    """

    name: str
    title: str
    launcher: str
    address: str
    link: Link = "starting"
    detail: str = ""
    heard: float = 0.0
    fingerprint: str = ""
    lease: str = ""
    slots: int = 1
    facts: HostFacts | None = None


class SyncState(Struct, frozen=True):
    """How far a run's files are at home.

    Attributes:
        status: ``away``: nothing of the present launch is here. ``mirroring``: the beginnings of its growing files are,
            ``bytes_done`` of them. ``pulling``: its sealed capsule comes. ``runs_dir``: it is here, as its manifest says.
            ``damaged``: it came otherwise, or is not what its manifest says any more.
        bytes_done: of a capsule on its way, those that came in earlier attempts too.
        note: why it does not get on, or what is damaged.
        left: seconds until a capsule is here, at its pace so far; None where that is not known.
        as_of: ``time.monotonic()`` of when the host was last asked for what is mirrored; 0.0: not by this console.
        key: the launch whose capsule is at home; "" where none is.
    """

    status: RunSync = "not synced"
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
    """

    host: HostView
    folder: str
    profile: str
    runs: dict[RunId, RunView]
    sync_states: dict[RunId, SyncState]
    version: int = 0
    local_writer: str = ""
