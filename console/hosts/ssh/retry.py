"""When a lost host is tried again: after growing, jittered pauses, at once when its port answers again, or when asked."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from console.hosts.ssh.access import Timeouts
from console.hosts.ssh.errors import LinkDown, LoginRefused, NeedsOperator, Unreachable
from console.hosts.ssh.tcp import answers


class Retry:
    """Attempts without limit.

    A pause doubles with each failure in a row, from the pace's shortest to its longest, of which half is random, so that
    many consoles do not knock together. What a person must settle (a changed host key, a consent or a login refused) is
    not tried again until ``now`` says so: it would only be refused again, ask the same question again, or get the
    operator's account locked.

    Attributes:
        stopped: set while nothing is tried until ``now`` says so.
    """

    def __init__(self, timeouts: Timeouts, chance: random.Random | None = None) -> None:
        self.stopped = asyncio.Event()
        self._pace = timeouts
        self._chance = chance or random.Random()
        self._asked = asyncio.Event()
        self._failures = 0

    def worked(self) -> None:
        """The link came up and said something: the next pause is a short one."""
        self._failures = 0

    def now(self) -> None:
        """End the pause or the stop."""
        self._asked.set()

    def next_pause(self, error: Exception, met_before: bool) -> float | None:
        """Seconds until the next attempt; None if a person must act first.

        A login that was refused is tried again only where it worked before without a person's help: the host may be
        starting up. Where it never did, or the operator was asked on the way, it stops.
        """
        if isinstance(error, NeedsOperator):
            return None
        if isinstance(error, LoginRefused) and (error.asked or not met_before):
            return None
        shortest, longest = self._pace.backoff
        pause: float = min(longest, shortest * 2 ** min(self._failures, 16)) * self._chance.uniform(0.5, 1.0)
        self._failures += 1
        return pause

    async def wait(self, pause: float | None, error: Exception) -> None:
        """Wait for ``pause`` seconds, or for the operator if it is None; for less if the host is back before."""
        self._asked.clear()
        if pause is None:
            self.stopped.set()
            try:
                await self._asked.wait()
            finally:
                self.stopped.clear()
            return
        reasons: list[asyncio.Task[Any]] = [asyncio.create_task(self._asked.wait())]
        if isinstance(error, LinkDown) and error.door is not None:
            reasons.append(asyncio.create_task(self._return_at(*error.door, silent=isinstance(error, Unreachable))))
        try:
            await asyncio.wait(reasons, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for reason in reasons:
                reason.cancel()
            await asyncio.gather(*reasons, return_exceptions=True)

    async def _return_at(self, address: str, port: int, silent: bool) -> None:
        """Returns when a port answers that was ``silent``.

        A port that answers all the while is no return: that host is up and fails in another way, so the pause is kept.
        """
        while True:
            if not await answers(address, port, self._pace.knock):
                silent = True
            elif silent:
                return
            else:
                await asyncio.Event().wait()
            await asyncio.sleep(self._pace.knock / 2)
