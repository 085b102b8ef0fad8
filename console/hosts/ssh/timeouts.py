"""How patient a link is: how long silence is borne, and how often a lost host is tried."""

from __future__ import annotations

from msgspec import Struct


class Timeouts(Struct, frozen=True):
    """Seconds, all of them.

    Attributes:
        dial: for a TCP connection to come about. Short: the kernel repeats an unanswered SYN after 1, 3 and 7 s, so that
            one long attempt would miss a host's return for longer than a new one.
        handshake: for the host to get from there to the next thing it says or asks; while the operator is asked
            something, no clock runs.
        keepalive, misses: a host that says nothing for ``misses`` keepalives in a row is lost.
        backoff: the shortest and the longest pause before the next attempt.
        knock: how often, in a pause, a port that did not answer is tried.
    """

    dial: float = 6.0
    handshake: float = 15.0
    keepalive: float = 5.0
    misses: int = 3
    backoff: tuple[float, float] = (1.0, 30.0)
    knock: float = 2.0

    @property
    def silence(self) -> float:
        """After so many seconds without a byte a host is lost."""
        return self.keepalive * self.misses

    @property
    def unanswered(self) -> int:
        """asyncssh counts the keepalives that may stay unanswered, and gives up at the next one."""
        return max(1, self.misses - 1)
