"""State of a run as the host records it in ``state.json``."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from engine.contract.run_folder import ENDED, StateName


class Identity(Struct, frozen=True):
    """One process, unique even after its pid is reused: pid, start time in clock ticks since boot, boot id."""

    pid: int
    start: int
    boot: str


class RunGpu(Struct, frozen=True):
    """The GPU that a run is bound to: ``index`` as nvidia-smi counted when it started, ``0:1`` for a MIG device of GPU 0."""

    uuid: str
    index: str
    name: str


class RunState(Struct, frozen=True, omit_defaults=True):
    """State of one run.

    Attributes:
        key: idempotency key of the launch, made by the console: launching twice with it is launching once.
        settings: fingerprint of the requested settings.
        reason: why it failed, was aborted (and by whom) or was lost.
        exit_code: of the job if it ended by itself; negative: the signal that ended it.
        ticket: position in the host's queue, smaller first.
        heartbeat: a counter that the supervisor increments as long as it works.
        supervisor, job: the processes.
        gpu: the GPU that it is bound to; None on a CPU, under Slurm, and where the host leaves the choice to CUDA.
        queued_at, started_at, ended_at: the host's Unix time in seconds, for display only.
        processes: living processes of a lost run, which an abort can end; reported by the host, not in the file.
        supervised: of a lost run, its supervisor exists but stands still, so that it may be taken back; reported, not in the
            file.
    """

    state: StateName
    key: str
    settings: str = ""
    ticket: int = 0
    reason: str = ""
    exit_code: int | None = None
    heartbeat: int = 0
    supervisor: Identity | None = None
    job: Identity | None = None
    queued_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    processes: int = 0
    supervised: bool = False
    gpu: RunGpu | None = None

    @property
    def ended(self) -> bool:
        """Neither queued nor running."""
        return self.state in ENDED


def decode(text: bytes) -> RunState:
    """The state in ``text``; raises ``msgspec.MsgspecError``."""
    return msgspec.json.decode(text, type=RunState)  # a decoder made on import would delay the console's first paint
