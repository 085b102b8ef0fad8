"""A read-only link to a host, kept up for the length of a block, and a wait for what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from console.hosts.host_config import HostConfig
from console.hosts.host_link import HostLink
from console.hosts.ssh.access import Access
from engine.contract.settings import RunId
from tests.console.hosts.conftest import FOLDER

RUN = RunId("A", 42)


@asynccontextmanager
async def kept_link(
    config: HostConfig, runs_dir: Path, access: Access | None, seconds: float = 20.0, *, syncs_runs: bool = True
) -> AsyncIterator[tuple[HostLink, asyncio.Task[None], asyncio.Event]]:
    """A link to follow ``RUN``, ready within ``seconds``; the task that keeps it up; an event that is set at each change.

    It holds no lease, and writes nothing but the local runs folder.
    """
    changed = asyncio.Event()
    link = HostLink(
        "host",
        config,
        FOLDER,
        runs_dir,
        (RUN,),
        wants_lease=False,
        take_over=False,
        on_change=changed.set,
        access=access,
        syncs_runs=syncs_runs,
    )
    following = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(seconds):
            await link.ready.wait()
        yield link, following, changed
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def until(condition: Callable[[], bool], changed: asyncio.Event, seconds: float) -> None:
    """Wait until ``condition`` holds, looked at after each change.

    Raises:
        TimeoutError: it did not within ``seconds``.
    """
    async with asyncio.timeout(seconds):
        while not condition():
            changed.clear()
            await changed.wait()
