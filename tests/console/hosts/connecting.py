"""Connections for the tests of what happens while one is made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from console.hosts.host_config import HostConfig
from console.hosts.open_connection import open_connection
from console.hosts.ssh.access import Access
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.route import Resolved


@asynccontextmanager
async def connection(
    host: HostConfig, access: Access, said: list[Resolved] | None = None
) -> AsyncIterator[HostConnection]:
    async with open_connection(host, Path("/nowhere"), access, (said if said is not None else []).append) as there:
        yield there


async def connect(host: HostConfig, access: Access, said: list[Resolved] | None = None) -> str:
    """Connect once; returns the fingerprint of the host's key."""
    async with connection(host, access, said) as there:
        return there.fingerprint
