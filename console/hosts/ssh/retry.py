"""When to reconnect to a lost host: after growing random pauses, as soon as its port answers again, or on request."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from console.hosts.ssh.access import Timeouts
from console.hosts.ssh.errors import LinkDown, LoginRefused, Misconfigured, NeedsOperator, Unreachable
from console.hosts.ssh.tcp import ssh_server_answers


class Retry:
    """Pauses between connection attempts, whose number is not limited.

    A pause doubles with each failure in a row, within ``Timeouts.backoff``; half of it is random, so that many consoles
    do not reconnect at the same moment. Errors that only a person can settle (a changed host key, a refused login) stop
    the attempts until ``now`` is called: a retry would be refused again, ask the same question, or lock the account.

    Attributes:
        stopped: set while no attempt is made until ``now`` is called.
        stopped_by: the error for which the attempts stopped; None if they go on.
    """

    def __init__(self, timeouts: Timeouts, rng: random.Random | None = None) -> None:
        self.stopped = asyncio.Event()
        self.stopped_by: Exception | None = None
        self._timeouts = timeouts
        self._rng = rng or random.Random()
        self._requested = asyncio.Event()
        self._failures = 0

    def succeeded(self) -> None:
        """The link works: the next pause is a short one."""
        self._failures = 0

    def now(self) -> None:
        """Connect again at once, also where attempts have stopped until a person acts."""
        self.stopped_by = None
        self._requested.set()

    def next_pause(self, error: Exception, connected_before: bool) -> float | None:
        """Seconds until the next attempt; None if a person must act first.

        A refused login, or one for which something is misconfigured, is retried only if it worked earlier in this session
        without a person's help: then the host may just be starting up, or a file may be in the middle of a change.
        """
        works = connected_before and not (isinstance(error, LoginRefused) and error.operator_asked)
        if isinstance(error, NeedsOperator) or (isinstance(error, (LoginRefused, Misconfigured)) and not works):
            self.stopped_by = error
            return None
        shortest, longest = self._timeouts.backoff
        pause: float = min(longest, shortest * 2 ** min(self._failures, 16)) * self._rng.uniform(0.5, 1.0)
        self._failures += 1
        return pause

    async def wait(self, pause: float | None, error: Exception) -> None:
        """Wait ``pause`` seconds, less if the host is back earlier; if ``pause`` is None, until ``now`` is called."""
        self._requested.clear()
        reasons: list[asyncio.Task[Any]] = [asyncio.create_task(self._requested.wait())]
        if pause is None:
            self.stopped.set()
        elif isinstance(error, LinkDown) and error.probe_address is not None:
            is_silent = isinstance(error, Unreachable)
            reasons.append(asyncio.create_task(self._wait_for_return(*error.probe_address, is_silent)))
        try:
            await asyncio.wait(reasons, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stopped.clear()
            for reason in reasons:
                reason.cancel()
            await asyncio.gather(*reasons, return_exceptions=True)

    async def _wait_for_return(self, host: str, port: int, is_silent: bool) -> None:
        """Wait until a host's port answers that was silent before, as ``is_silent`` says it was.

        A port that answered all the time is no return: that host is up and fails in another way, so the pause is kept.
        """
        while True:
            if not await ssh_server_answers(host, port, self._timeouts.probe):
                is_silent = True
            elif is_silent:
                return
            else:
                await asyncio.Event().wait()
            await asyncio.sleep(self._timeouts.probe / 2)
