"""A host that was reached."""

from __future__ import annotations

from msgspec import Struct

from console.hosts.channels import Channels


class Reached(Struct, frozen=True):
    """Its connection, its workspace as an absolute path, which Python runs its jobs, its verified key's hash."""

    connection: Channels
    workspace: str
    python: str
    address: str
    fingerprint: str
