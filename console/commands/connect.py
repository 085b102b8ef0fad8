"""Opens a session without a screen and says on stderr what happens to the link."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from console.commands.output import say
from console.hosts.ssh.errors import LinkDown
from console.runs.snapshot import Snapshot
from console.session import Session

FIRST_ANSWER_S = 30.0


@asynccontextmanager
async def attached(session: Session) -> AsyncIterator[None]:
    """Follow the host within the block, entered once it has answered for the first time.

    Raises:
        LinkDown: it did not answer in time, or something about it must be settled, at first or later: the block is
            left then, for nothing more would come of waiting.
    """
    session.subscribe(_LinkReporter().take)
    following = asyncio.create_task(session.run())
    first: list[asyncio.Task[Any]] = [asyncio.create_task(event.wait()) for event in (session.ready, session.stopped)]
    try:
        await _first_of({following, *first}, session)
        if following.done() or session.stopped.is_set():
            await _end_of(following, first[1], session)
        if not session.ready.is_set():
            raise LinkDown(f"the host did not answer: {session.snapshot.host.detail}")
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_end_of(following, first[1], session))
            yield
            watching.cancel()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for task in (following, *first):
            task.cancel()
        await asyncio.gather(following, *first, return_exceptions=True)
        await session.close()


async def _end_of(following: asyncio.Task[None], stopped: asyncio.Task[Any], session: Session) -> None:
    """Raises once nothing more will come of ``session``."""
    await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if following.done():
        following.result()
    raise LinkDown(session.snapshot.host.detail)


async def _first_of(tasks: set[asyncio.Task[Any]], session: Session) -> None:
    """Wait for the first of ``tasks``, but not for ever; while the operator is asked something, time stands still."""
    start = time.monotonic()
    while (left := max(start, session.asked) + FIRST_ANSWER_S - time.monotonic()) > 0:
        done, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if done:
            return


class _LinkReporter:
    """Says once when the link is lost and once when it is back."""

    def __init__(self) -> None:
        self._link = "up"

    def take(self, snapshot: Snapshot) -> None:
        link = snapshot.host.link
        if link == self._link or link not in ("up", "lost"):
            return
        self._link = link
        say(f"link: {link}" + (f" ({snapshot.host.detail})" if snapshot.host.detail else ""))
