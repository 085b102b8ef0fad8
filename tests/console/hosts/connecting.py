"""Connections for the tests of what happens while one is made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from console.hosts.access import Access
from console.hosts.connection import Reached, Resolved, reach
from console.hosts.host_config import HostConfig


@asynccontextmanager
async def reached(host: HostConfig, access: Access, said: list[Resolved] | None = None) -> AsyncIterator[Reached]:
    async with reach(host, Path("/nowhere"), access, (said if said is not None else []).append) as there:
        yield there


async def connect(host: HostConfig, access: Access, said: list[Resolved] | None = None) -> str:
    """Connect once; returns the fingerprint of the host's key."""
    async with reached(host, access, said) as there:
        return there.fingerprint
