"""The state of a run as the host keeps it in ``state.json``. What is unknown is never success."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

Name = Literal["queued", "running", "finished", "failed", "aborted", "lost"]
ENDED: frozenset[Name] = frozenset({"finished", "failed", "aborted", "lost"})
SEALED: frozenset[Name] = frozenset({"finished", "failed", "aborted"})
"""States of a run that has left a sealed capsule."""


class Identity(Struct, frozen=True):
    """A process that cannot be mistaken for another: its pid, its start time in clock ticks since boot, the boot's id."""

    pid: int
    start: int
    boot: str


class RunState(Struct, frozen=True, omit_defaults=True):
    """One run's state.

    Attributes:
        state: where it is in its life.
        key: the launch it belongs to; minted by the console, so that launching twice is launching once.
        settings: fingerprint of what was asked for.
        reason: why it failed, was aborted (and by whom) or was lost.
        exit_code: of the job, when it ended by itself; negative is the signal that ended it.
        ticket: its place in the host's queue, smaller first.
        heartbeat: a counter that its supervisor raises; it stands still when the supervisor does.
        supervisor, job: the processes.
        queued_at, started_at, ended_at: the host's Unix time in seconds, for reading only.
    """

    state: Name
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

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class Exit(Struct, frozen=True, omit_defaults=True):
    """``exit.json``: how the job ended, written durably by its supervisor before anything else is said of it."""

    key: str
    state: Name
    exit_code: int | None = None
    reason: str = ""
    ended_at: float = 0.0


decode = msgspec.json.Decoder(RunState).decode
