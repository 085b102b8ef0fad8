"""What preflight found on a host, before it is judged."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from console.runs.snapshot import HostFacts


class GpuUser(Struct, frozen=True):
    """A process on the GPU; memory in MiB."""

    pid: int
    name: str
    memory: int | None


class PreflightFacts(Struct, frozen=True):
    """The host's answers; ``time`` is its Unix time in seconds."""

    time: float
    user: str
    python: str
    has_venv: bool
    gpu_users: tuple[GpuUser, ...]
    survives: bool | None
    writable: bool


class Environment(Struct, frozen=True):
    """The engine's environment on the host, and what its own check said: "" is all well, None is not asked."""

    state: Literal["none", "making", "ready", "failed"]
    step: str = ""
    error: str = ""
    python: str = ""
    complaint: str | None = None


class Findings(Struct, frozen=True):
    """All of it. ``clock_offset`` is the host's clock minus ours in seconds, ``round_trip`` in seconds."""

    login: str
    fingerprint: str
    facts: HostFacts
    preflight_facts: PreflightFacts
    environment: Environment
    clock_offset: float
    round_trip: float
