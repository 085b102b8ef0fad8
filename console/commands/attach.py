"""Opens a session without a screen and says on stderr what happens to the link."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from console.hosts.connection import LinkDown
from console.session import Session
from console.snapshot import Snapshot

FIRST_ANSWER_S = 30.0


def say(text: str) -> None:
    """A line for a person; stdout is kept for what was asked for."""
    print(text, file=sys.stderr, flush=True)


@asynccontextmanager
async def attached(session: Session) -> AsyncIterator[None]:
    """Follow the host within the block, entered once it has answered for the first time.

    Raises:
        LinkDown: it did not answer in time.
    """
    session.subscribe(_LinkReporter().take)
    following = asyncio.create_task(session.run())
    ready = asyncio.create_task(session.ready.wait())
    try:
        done, _ = await asyncio.wait({following, ready}, timeout=FIRST_ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
        if following in done:
            following.result()
        if not session.ready.is_set():
            raise LinkDown(f"the host did not answer: {session.snapshot.host.detail}")
        yield
    finally:
        for task in (following, ready):
            task.cancel()
        await asyncio.gather(following, ready, return_exceptions=True)
        await session.close()


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
